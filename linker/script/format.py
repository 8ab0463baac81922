"""Expressions and assignments as text, for the map."""

from linker.script.syntax import Assertion, Assignment, Binary, Call, Conditional, Expression, Name, Number, Unary


def format_expression(expression: Expression) -> str:
    """The text of an expression, spaced as GNU ld's map has it.

    >>> from linker.script.parser import parse_script
    >>> format_expression(parse_script("a = ALIGN(4) + b * 2;", "x").statements[0].value)
    '(ALIGN (0x4) + (b * 0x2))'
    """
    match expression:
        case Number(value=value):
            return f"{value:#x}"
        case Name(name=name):
            return name
        case Unary(operator=operator, operand=operand):
            return f"{operator} {format_expression(operand)}"
        case Binary(operator=operator, left=left, right=right):
            return f"({format_expression(left)} {operator} {format_expression(right)})"
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            parts = [format_expression(part) for part in (condition, then, otherwise)]
            return f"({parts[0]} ? {parts[1]} : {parts[2]})"
        case Call(function="SIZEOF_HEADERS"):
            return "SIZEOF_HEADERS"
        case Call(function=function, word=word, arguments=arguments):
            texts = [word] * bool(word) + [format_expression(argument) for argument in arguments]
            return f"{function} ({', '.join(texts)})"
        case Assertion(condition=condition, message=message):
            return f"ASSERT ({format_expression(condition)}, {message})"


def format_assignment(assignment: Assignment) -> str:
    """The text of an assignment."""
    text = f"{assignment.symbol} = {format_expression(assignment.value)}"
    if assignment.provide:
        return f"PROVIDE ({text})"
    return f"HIDDEN ({text})" if assignment.hidden else text
