import { type DomainContract, type FieldType, valuesOfMap } from "../contract/contract.ts";
import type { SequenceKind, SequenceLibrary } from "../resolve/crdt/sequence-cell.ts";
import { isRecord, setOwn } from "../resolve/json-value.ts";
import type { MakeData } from "./sample-history.ts";
import { below, chance, oneOf, type Random } from "./seeded-random.ts";

const NAMES = ["a", "b", "c", "__proto__"] as const;

/** Data of the kind that a contract takes: few names and values, so that writes meet. */
export function sampleData(
  { resolver, fields }: Pick<DomainContract, "resolver" | "fields">,
  sequences: SequenceLibrary | undefined,
): MakeData {
  if (resolver !== "crdt")
    return (random) => (chance(random, 0.06) ? sampleScalar(random) : samplePatch(random, 3));
  const names = [...Object.keys(fields), "undeclared"];
  return (random, read) => {
    if (chance(random, 0.06)) return null;
    if (chance(random, 0.02)) return undefined;
    const data: Record<string, unknown> = {};
    for (const name of names) {
      if (chance(random, 0.5)) continue;
      const before = read.map((one) => (isRecord(one) ? one[name] : undefined));
      const type = Object.hasOwn(fields, name) ? (fields[name] as FieldType) : "register";
      data[name] = sampleOperation(random, type, before, sequences);
    }
    return data;
  };
}

function samplePatch(random: Random, depth: number): unknown {
  const patch: Record<string, unknown> = {};
  for (const name of NAMES) {
    const kind = random();
    if (kind < 0.5) continue;
    setOwn(patch, name, kind < 0.75 && depth > 1 ? samplePatch(random, depth - 1) : sampleScalar(random));
  }
  return patch;
}

function sampleScalar(random: Random): unknown {
  const kind = random();
  if (kind < 0.3) return null;
  if (kind < 0.4) return [below(random, 2)];
  return oneOf<unknown>(random, [1, 2, 3, "x", "y", true, ""]);
}

function sampleOperation(
  random: Random,
  type: FieldType,
  before: readonly unknown[],
  sequences: SequenceLibrary | undefined,
): unknown {
  if (chance(random, 0.12)) return null;
  const values = valuesOfMap(type);
  if (values !== undefined) {
    const operation: Record<string, unknown> = {};
    for (const key of ["k", "l"]) {
      const inside = before.map((one) => (isRecord(one) ? one[key] : undefined));
      if (chance(random, 0.6)) operation[key] = sampleOperation(random, values, inside, sequences);
    }
    return operation;
  }
  switch (type) {
    case "counter":
      return chance(random, 0.05) ? Number.MAX_SAFE_INTEGER : below(random, 20) - 9;
    case "counter-grow":
      return below(random, 10);
    case "set":
      return { add: sampleElements(random), remove: sampleElements(random) };
    case "text":
    case "list":
      return sequences && { update: sampleEdit(random, type, before, sequences) };
    default:
      return sampleScalar(random);
  }
}

function sampleElements(random: Random): unknown[] {
  return ["x", "y", 1, { of: [1] }].filter(() => chance(random, 0.35));
}

function sampleEdit(
  random: Random,
  kind: SequenceKind,
  before: readonly unknown[],
  library: SequenceLibrary,
): string {
  const document = new library.Doc();
  document.clientID = 1 + below(random, 2 ** 31);
  for (const one of before)
    if (isRecord(one)) library.applyUpdate(document, Buffer.from(one.update as string, "base64"));
  const known = library.encodeStateVector(document);
  const text = document.getText("text");
  const list = document.getArray("list");
  const edited = kind === "text" ? text : list;
  const at = below(random, edited.length + 1);
  if (at < edited.length && chance(random, 0.3)) edited.delete(at, 1);
  else if (kind === "text") text.insert(at, oneOf(random, ["one", "two", "ä", "🙂"]));
  else list.insert(at, [below(random, 9)]);
  return Buffer.from(library.encodeStateAsUpdate(document, known)).toString("base64");
}
