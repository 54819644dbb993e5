#!/usr/bin/env python3
"""schemas.py OUT KIND...: reads an API server's /openapi/v2 on stdin, writes schemas of these kinds for kubeconform.

They are strict (a field that is not known is refused), without descriptions, and hold no more than the kinds need.
"""

import json
import os
import sys

KEPT = {"type", "properties", "additionalProperties", "items", "required", "enum", "oneOf", "$ref", "pattern"}


def lean(schema):
    """Without what says nothing about validity."""
    out = {key: value for key, value in schema.items() if key in KEPT}
    if "properties" in out:
        out["properties"] = {name: lean(value) for name, value in out["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            out.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(out.get(key), dict):
            out[key] = lean(out[key])
    return out


def references(schema):
    if isinstance(schema, dict):
        for key, value in schema.items():
            # A field may be called $ref too: its value is no string.
            yield from [value.rsplit("/", 1)[1]] if key == "$ref" and isinstance(value, str) else references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from references(item)


def elsewhere(schema):
    """References as they are from the file of a kind."""
    if isinstance(schema, dict):
        is_reference = isinstance(schema.get("$ref"), str)
        return {
            key: "_definitions.json" + value if key == "$ref" and is_reference else elsewhere(value)
            for key, value in schema.items()
        }
    return [elsewhere(item) for item in schema] if isinstance(schema, list) else schema


def main():
    out, kinds = sys.argv[1], set(sys.argv[2:])
    definitions = {name: lean(schema) for name, schema in json.load(sys.stdin)["definitions"].items()}
    raw = {}
    for name, schema in definitions.items():
        if name.endswith((".util.intstr.IntOrString", ".api.resource.Quantity")):
            definitions[name] = {"oneOf": [{"type": "string"}, {"type": "number"}]}
        if name.endswith(".JSONSchemaPropsOrBool") or name.endswith(".JSONSchemaPropsOrArray") or name.endswith(".JSON"):
            definitions[name] = {}
    needed, todo = set(), []
    for name, schema in definitions.items():
        parts = name.split(".")
        group, version, kind = parts[-3], parts[-2], parts[-1]
        if kind in kinds and version == "v1":
            raw[f"{kind.lower()}{'' if group == 'core' else '-' + group}-v1"] = schema
            todo.append(name)
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo.extend(references(definitions[name]))
    os.makedirs(out, exist_ok=True)
    line = ",\n".join(f"{json.dumps(name)}: {json.dumps(definitions[name], sort_keys=True)}" for name in sorted(needed))
    with open(f"{out}/_definitions.json", "w") as file:
        file.write('{"definitions": {\n' + line + "\n}}\n")
    for name, schema in raw.items():
        with open(f"{out}/{name}.json", "w") as file:
            file.write(json.dumps(elsewhere(schema), sort_keys=True) + "\n")


main()
