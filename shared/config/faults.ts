/** One thing that is wrong with a configuration: where, what, and what to write instead. */
export interface Fault {
  /** Dotted path of the key (`nats.url`, `leaves[0].name`) or the name of a `CIM_*` variable; "" is the whole document. */
  readonly path: string;
  readonly problem: string;
  /** What to write instead, ready to follow the word "write". */
  readonly write: string;
}

/** The configuration cannot be used. `message` is one line; `faults` holds everything that was found. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** Exit code for a process that stops because of it (wrong usage or configuration). */
  readonly exitCode = 2;
  readonly faults: readonly Fault[];

  /** `source` is the file (or "configuration" when it came from elsewhere). */
  constructor(source: string, faults: readonly Fault[], options?: ErrorOptions) {
    super(summary(source, faults), options);
    this.faults = faults;
  }
}

/** `nats.url: is 42, must be a URL; write "nats://127.0.0.1:4222"` */
export function faultLine(fault: Fault): string {
  const where = fault.path === "" ? "" : `${fault.path}: `;
  return `${where}${fault.problem}; write ${fault.write}`;
}

function summary(source: string, faults: readonly Fault[]): string {
  const first = faults[0];
  if (first === undefined) return `${source}: cannot be used`;
  const more = faults.length - 1;
  const rest = more > 0 ? ` (and ${more} more: run check-config)` : "";
  return `${source}: ${faultLine(first)}${rest}`;
}

const LONGEST_SHOWN = 60;

/** A value as it may be shown in a message: one line, short, and without a password that a URL may carry. */
export function shown(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value) ?? String(value);
  const safe = text.replace(/:\/\/[^/@\s"]*@/g, "://…@");
  return safe.length > LONGEST_SHOWN ? `${safe.slice(0, LONGEST_SHOWN)}…` : safe;
}

/** `["leaves", 0, "name"]` as `leaves[0].name`; a key with odd characters is quoted, so that a message stays one line. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    const word = String(part);
    if (typeof part === "number" || /^\d+$/.test(word)) text += `[${word}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(word)) text += text === "" ? word : `.${word}`;
    else text += `[${shown(word)}]`;
  }
  return text;
}
