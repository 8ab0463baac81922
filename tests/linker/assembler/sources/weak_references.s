# Weak references alone, and to symbols that are mentioned elsewhere too; a version in a note.
    .version "one"
    .data
    .weakref first, only_weakly
    .dword first
    .weakref second, strongly_later
    .dword second
    .dword strongly_later
    .weakref third, equated
    .set another, equated
    .weakref fourth, unused
    .version "1.25"
