"""Zicsr (unprivileged manual, table "RV32/RV64 Zicsr Standard Extension")."""

ROWS = """
csrrw   rd, csr, rs1        | csr                   rs1  001      rd 1110011
csrrs   rd, csr, rs1        | csr                   rs1  010      rd 1110011
csrrc   rd, csr, rs1        | csr                   rs1  011      rd 1110011
csrrwi  rd, csr, zimm5      | csr                  zimm  101      rd 1110011
csrrsi  rd, csr, zimm5      | csr                  zimm  110      rd 1110011
csrrci  rd, csr, zimm5      | csr                  zimm  111      rd 1110011
"""
