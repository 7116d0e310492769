"""The OpenAPI document as one page of plain HTML: it has no script and no font, and works without a network."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Object = dict[str, Any]  # of the document, as FastAPI makes it
# The page can load nothing, whatever the document says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0 auto; max-width: 60rem; padding: 1rem }
pre { overflow-x: auto; padding: .5rem .75rem; border: 1px solid #8886; border-radius: .25rem }
code, pre { font-family: ui-monospace, monospace; font-size: .875rem }
h2 { margin-top: 2.5rem; border-top: 1px solid #8886; padding-top: 1rem }
table { border-collapse: collapse } td { padding: .125rem 1rem .125rem 0; vertical-align: top }
"""


def page(document: Object) -> str:
    """Every operation with its parameters, bodies, answers and examples."""
    title = f"{document['info']['title']} {document['info']['version']}"
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{_text(part)}</p>" for part in document["info"]["description"].strip().split("\n\n")),
        '<p>For programs: <a href="openapi.json">openapi.json</a></p>',
    ]
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(f"{method.upper()} {path}", operation, schemas)
    for name, schema in schemas.items():
        parts += [f'<h2 id="{escape(name)}">{escape(name)}</h2>', _pre(json.dumps(schema, indent=2))]
    return "\n".join([*parts, "</body></html>"])


def _operation(heading: str, operation: Object, schemas: Object) -> Iterator[str]:
    yield f"<h2><code>{escape(heading)}</code></h2><p>{_text(operation.get('description', ''))}</p>"
    if parameters := operation.get("parameters"):
        yield "<h3>Parameters</h3><table>"
        for one in parameters:
            need = ", required" if one.get("required") else ""
            yield f"<tr><td><code>{escape(one['name'])}</code></td><td>{one['in']}{need}</td>"
            yield f"<td>{_text(one.get('description', ''))}</td></tr>"
        yield "</table>"
    if body := operation.get("requestBody"):
        yield "<h3>Body</h3>"
        yield from _content(body["content"], schemas)
    yield "<h3>Answers</h3>"
    for status, answer in operation["responses"].items():
        yield f"<p><strong>{escape(str(status))}</strong> {_text(answer['description'])}</p>"
        yield from _content(answer.get("content", {}), schemas)


def _content(content: Object, schemas: Object) -> Iterator[str]:
    for media_type, media in content.items():
        reference = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
        kind = f'<a href="#{escape(reference)}">{escape(reference)}</a>' if reference else ""
        yield f"<p><code>{escape(media_type)}</code> {kind}</p>"
        own = [media["example"]] if "example" in media else schemas.get(reference, {}).get("examples")
        examples = media.get("examples") or ({"": {"value": own[0]}} if own else {})
        for name, example in examples.items():
            value = example["value"]
            label = example.get("summary", name)
            yield f"<p>{_text(label)}</p>" if label else ""
            yield _pre(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def _text(text: str) -> str:
    """The text escaped, with the parts in backquotes as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"
