/**
 * The value of a key in a nats-server configuration. `undefined` leaves the key out; a `comment` stands before its
 * list element or key; `include` takes the text of another file, named relative to the including one's folder.
 */
export type ConfigValue = string | number | boolean | undefined | ConfigBlock | readonly ConfigItem[];

export interface ConfigBlock {
  readonly [key: string]: ConfigValue | Include;
}

export type ConfigItem = string | Commented;

export interface Commented {
  readonly comment: string;
  readonly block: ConfigBlock;
}

/** Read by nats-server where the key would stand; for secrets, so that the configuration itself holds none. */
export class Include {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }
}

/** Renders a configuration in nats-server's own syntax, for people to read. */
export function renderConfigText(block: ConfigBlock): string {
  return `${lines(block, "").join("\n")}\n`;
}

function lines(block: ConfigBlock, indent: string): string[] {
  return Object.entries(block).flatMap(([key, value]): string[] => {
    if (value === undefined) return [];
    if (value instanceof Include) return [`${indent}include ${quoted(value.file)}`];
    if (isList(value)) return list(key, value, indent);
    if (typeof value === "object") return [`${indent}${key} {`, ...lines(value, `${indent}  `), `${indent}}`];
    return [`${indent}${key}: ${scalar(value)}`];
  });
}

function list(key: string, items: readonly ConfigItem[], indent: string): string[] {
  if (items.length === 0) return [`${indent}${key}: []`];
  const deeper = `${indent}  `;
  const rendered = items.flatMap((item) =>
    typeof item === "string"
      ? [`${deeper}${quoted(item)}`]
      : [`${deeper}# ${item.comment}`, `${deeper}{`, ...lines(item.block, `${deeper}  `), `${deeper}}`],
  );
  return [`${indent}${key}: [`, ...rendered, `${indent}]`];
}

function isList(
  value: ConfigBlock | readonly ConfigItem[] | string | number | boolean,
): value is readonly ConfigItem[] {
  return Array.isArray(value);
}

function scalar(value: string | number | boolean): string {
  return typeof value === "string" ? quoted(value) : String(value);
}

/** In double quotes nothing is a variable, and only `\\`, `\"`, `\n`, `\r` and `\t` are escapes. */
function quoted(text: string): string {
  const escapes: Record<string, string> = { "\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return `"${text.replace(/[\\"\n\r\t]/g, (character) => escapes[character] ?? character)}"`;
}
