"""The part of JSON Schema that the schemas of docs/ use, checked without the library that wrote them."""

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


def mistakes(value, schema, root, where="$"):
    """Return what is wrong with a JSON value, a text for each mistake."""
    if "$ref" in schema:
        return mistakes(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, where)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            found = [mistakes(value, one, root, where) for one in schema[key]]
            return [] if [] in found else min(found, key=len)
    if "const" in schema and value != schema["const"]:
        return [f"{where}: not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: none of {schema['enum']}"]
    kind = schema.get("type")
    if kind == "null":
        return [] if value is None else [f"{where}: not null"]
    if kind is not None and (not isinstance(value, TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        return [f"{where}: no {kind}"]
    if kind == "array":
        return [text for k, one in enumerate(value) for text in mistakes(one, schema["items"], root, f"{where}[{k}]")]
    return _mistakes_of_object(value, schema, root, where) if kind == "object" else []


def _mistakes_of_object(value, schema, root, where):
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    found = [f"{where}.{key}: missing" for key in schema.get("required", []) if key not in value]
    for key, one in value.items():
        if key in known:
            found += mistakes(one, known[key], root, f"{where}.{key}")
        elif isinstance(others, dict):
            found += mistakes(one, others, root, f"{where}.{key}")
        elif not others:
            found.append(f"{where}.{key}: unknown")
    return found
