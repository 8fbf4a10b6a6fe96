import { type FieldType, valuesOfMap } from "../../contract/contract.ts";
import type { Version } from "../version.ts";
import type { Cell } from "./cell.ts";
import { CounterCell } from "./counter-cell.ts";
import { MapCell } from "./map-cell.ts";
import { MultiValueCell, RegisterCell } from "./register-cells.ts";
import { SequenceCell, type SequenceLibrary } from "./sequence-cell.ts";
import { SetCell } from "./set-cell.ts";

type Read = (place: unknown) => Version;

/** The type of a field; what is not declared is a last-writer register. */
export const fieldType = (fields: Readonly<Record<string, FieldType>>, name: string): FieldType =>
  Object.hasOwn(fields, name) ? (fields[name] as FieldType) : "register";

/** The cell of an aggregate: a map with a type for each key. */
export function rootCell(
  fields: Readonly<Record<string, FieldType>>,
  sequences: SequenceLibrary | undefined,
  json?: unknown,
  version?: Read,
): MapCell {
  return mapCell((name) => fieldType(fields, name), true, sequences, json, version);
}

function mapCell(
  typeOf: (key: string) => FieldType,
  keepsFloor: boolean,
  sequences: SequenceLibrary | undefined,
  json?: unknown,
  version?: Read,
): MapCell {
  return new MapCell(
    {
      cell: (key, inner, read) => newCell(typeOf(key), sequences, inner, read),
      takesNull: (key) => typeOf(key) === "register",
      remembersDelete: (key) => valuesOfMap(typeOf(key)) !== undefined && endsInRegister(typeOf(key)),
      keepsFloor,
    },
    json,
    version,
  );
}

function newCell(
  type: FieldType,
  sequences: SequenceLibrary | undefined,
  json?: unknown,
  version?: Read,
): Cell {
  const values = valuesOfMap(type);
  if (values !== undefined) return mapCell(() => values, endsInRegister(values), sequences, json, version);
  switch (type) {
    case "counter":
    case "counter-grow":
      return new CounterCell(json);
    case "multi-value":
      return new MultiValueCell(json, version);
    case "set":
      return new SetCell(json);
    case "text":
    case "list":
      if (!sequences) throw new Error(`the library for ${type} fields is not loaded`);
      return new SequenceCell(type, sequences, json);
    default:
      return new RegisterCell(json, version);
  }
}

function endsInRegister(type: FieldType): boolean {
  const values = valuesOfMap(type);
  return values === undefined ? type === "register" : endsInRegister(values);
}

/** Whether a type is one that needs the library, or a map of such. */
export function needsSequences(type: FieldType): boolean {
  const values = valuesOfMap(type);
  return values === undefined ? type === "text" || type === "list" : needsSequences(values);
}
