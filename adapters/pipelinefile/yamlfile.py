"""YAML text into events: no tags, one document, scalars of YAML 1.2."""

from collections.abc import Iterator

import yaml

from adapters.pipelinefile.document import (
    Alias,
    Builder,
    Close,
    Document,
    Event,
    Mistake,
    Open,
    Scalar,
    Unreadable,
)
from adapters.pipelinefile.scalars import scalar_of

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> Document:
    """The document in `text`. Raises `Unreadable`."""
    builder = Builder()
    try:
        builder.feed(_events(text, builder.mistakes))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Unreadable([Mistake(line=line, message=f"not YAML: {_words(error)}")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not YAML: a character that cannot be there ({error.reason})"
        raise Unreadable([Mistake(line=line, message=message)]) from error
    except yaml.YAMLError as error:
        raise Unreadable([Mistake(line=1, message=f"not YAML: {error}")]) from error
    return builder.document()


def _words(error: yaml.MarkedYAMLError) -> str:
    said = [one for one in (error.context, error.problem) if one]
    return ", ".join(said).replace("\n", " ")


def _events(text: str, mistakes: list[Mistake]) -> Iterator[Event]:
    documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        match event:
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    message = "a second document begins here"
                    hint = "one pipeline per file; drop what follows `---`"
                    raise Unreadable([Mistake(line=line, message=message, hint=hint)])
            case yaml.AliasEvent():
                yield Alias(event.anchor or "", line)
            case yaml.ScalarEvent():
                yield _scalar(event, line, mistakes)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                _no_tag(event.tag, line, mistakes)
                yield Open(isinstance(event, yaml.MappingStartEvent), line, event.anchor)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                yield Close()


def _scalar(event: yaml.ScalarEvent, line: int, mistakes: list[Mistake]) -> Scalar:
    _no_tag(event.tag, line, mistakes)
    raw = str(event.value)
    text_line = line + 1 if event.style in ("|", ">") else 0
    if event.style:
        return Scalar(raw, raw, line, text_line, event.anchor)
    try:
        return Scalar(scalar_of(raw), raw, line, 0, event.anchor)
    except ValueError as error:
        mistakes.append(Mistake(line=line, message=str(error)))
        return Scalar(raw, raw, line, 0, event.anchor)


def _no_tag(tag: str | None, line: int, mistakes: list[Mistake]) -> None:
    if tag is not None:
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        message = f"the tag `{shown}` is not allowed"
        hint = "drop it; put text that looks like a number in quotes"
        mistakes.append(Mistake(line=line, message=message, hint=hint))
