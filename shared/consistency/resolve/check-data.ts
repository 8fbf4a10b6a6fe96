import { type DomainContract, type FieldType, valuesOfMap } from "../contract/contract.ts";
import { fieldType } from "./crdt/typed-cells.ts";
import { isRecord } from "./json-value.ts";

/**
 * Whether an event's data is what a domain's contract says: of `crdt`, operations of its fields' types. The other resolvers
 * take any JSON.
 * @param data parsed; undefined: there is none, which is always right
 * @returns what is wrong, and where; undefined: nothing
 */
export function checkData(
  { resolver, fields }: Pick<DomainContract, "resolver" | "fields">,
  data: unknown,
): string | undefined {
  if (resolver !== "crdt" || data === undefined || data === null) return undefined;
  if (!isRecord(data))
    return "the data of a crdt domain is an object with an operation for each field, or null";
  for (const name in data) {
    const fault = checkOperation(fieldType(fields, name), data[name], name);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** null is right for every type: it takes the value away. */
function checkOperation(type: FieldType, operation: unknown, path: string): string | undefined {
  if (operation === null) return undefined;
  const values = valuesOfMap(type);
  if (values !== undefined) {
    if (!isRecord(operation)) return expected(path, type, "an object with an operation for each key");
    for (const key in operation) {
      const fault = checkOperation(values, operation[key], `${path}.${key}`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  switch (type) {
    case "counter":
      return Number.isSafeInteger(operation) ? undefined : expected(path, type, "a whole number");
    case "counter-grow":
      return Number.isSafeInteger(operation) && (operation as number) >= 0
        ? undefined
        : expected(path, type, "a whole number that is not negative");
    case "set":
      return isSetOperation(operation) ? undefined : expected(path, type, '{"add":[…],"remove":[…]}');
    case "text":
    case "list":
      return isUpdate(operation) ? undefined : expected(path, type, '{"update":"<a Yjs update, base64>"}');
    default:
      return undefined;
  }
}

const expected = (path: string, type: string, what: string): string => `${path} is a ${type}: write ${what}`;

function isSetOperation(operation: unknown): boolean {
  if (!isRecord(operation)) return false;
  const names = Object.keys(operation);
  return (
    names.length > 0 &&
    names.every((name) => (name === "add" || name === "remove") && Array.isArray(operation[name]))
  );
}

function isUpdate(operation: unknown): boolean {
  if (!isRecord(operation) || Object.keys(operation).join() !== "update") return false;
  return typeof operation.update === "string" && /^[A-Za-z0-9+/]+={0,2}$/.test(operation.update);
}
