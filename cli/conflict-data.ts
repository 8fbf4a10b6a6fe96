import { type DomainContract, type FieldType, valuesOfMap } from "../shared/consistency/contract/contract.ts";

/**
 * The data of an event that writes a value at a place of an aggregate, as the domain's resolver takes it. Pure.
 *
 * @param path empty: the whole aggregate
 * @param value null: removes what is there
 */
export function dataFor(path: readonly string[], value: unknown, contract: DomainContract): unknown {
  return at(path, contract, (type) =>
    type === "set" ? { add: Array.isArray(value) ? value : [value] } : value,
  );
}

/**
 * The same of an event that removes what is at a place; of a set the element. Pure.
 *
 * @param element of a set; else of no meaning
 */
export function removalFor(path: readonly string[], element: unknown, contract: DomainContract): unknown {
  return at(path, contract, (type) => (type === "set" && element != null ? { remove: [element] } : null));
}

function at(
  path: readonly string[],
  { resolver, fields }: DomainContract,
  write: (type: FieldType | undefined) => unknown,
): unknown {
  const [first] = path;
  let type = resolver === "crdt" && first !== undefined ? fields[first] : undefined;
  for (let depth = 1; depth < path.length && type !== undefined; depth++) type = valuesOfMap(type);
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), write(type));
}
