import { CONDITIONS, type ConditionCode, type ConditionDeclaration } from "./condition-table.ts";

/** What fills a condition's text: named values for its blanks, or a remark that is put behind it. */
export type ConditionDetail = string | Readonly<Record<string, string | number>>;

/** A condition that holds, as people and programs are told of it. */
export interface Condition {
  readonly code: ConditionCode;
  /** Which of several it is about (a node, an origin); absent when it is about this node. */
  readonly subject?: string;
  readonly severity: ConditionDeclaration["severity"];
  readonly title: string;
  readonly text: string;
  readonly whatToDo: string;
  readonly affectsReadiness: boolean;
  /** Since when it holds, milliseconds since the epoch. */
  readonly sinceMs: number;
}

export interface ConditionChange {
  readonly kind: "raised" | "changed" | "cleared";
  readonly condition: Condition;
}

interface Held {
  readonly code: ConditionCode;
  readonly subject: string | undefined;
  readonly text: string;
  readonly sinceMs: number;
}

/** The conditions that hold on a node now. No timer: whether one lasts long enough to be shown is asked when listed. */
export class Conditions {
  readonly #now: () => number;
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Set<(change: ConditionChange) => void>();

  constructor(options: { readonly now?: () => number } = {}) {
    this.#now = options.now ?? Date.now;
  }

  /** Says that a condition holds. Saying it again keeps its beginning and renews its text. */
  raise(code: ConditionCode, detail?: ConditionDetail, subject?: string): void {
    const id = idOf(code, subject);
    const before = this.#held.get(id);
    const text = fill(CONDITIONS[code].text, detail);
    if (before?.text === text) return;
    const held = { code, subject, text, sinceMs: before?.sinceMs ?? this.#now() };
    this.#held.set(id, held);
    this.#tell(before === undefined ? "raised" : "changed", held);
  }

  /** Says that it holds no longer; nothing happens when it did not. */
  clear(code: ConditionCode, subject?: string): void {
    const id = idOf(code, subject);
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    this.#tell("cleared", held);
  }

  /** Raises or clears, by what was found. */
  set(holds: boolean, code: ConditionCode, detail?: ConditionDetail, subject?: string): void {
    if (holds) this.raise(code, detail, subject);
    else this.clear(code, subject);
  }

  /** Whether it holds, however short. */
  has(code: ConditionCode, subject?: string): boolean {
    return this.#held.has(idOf(code, subject));
  }

  /** Those that have lasted long enough to be shown and do not merely follow from another, worst first. */
  list(nowMs: number = this.#now()): Condition[] {
    return [...this.#held.values()]
      .filter((held) => nowMs - held.sinceMs >= CONDITIONS[held.code].timeToVisibleMs && !this.#follows(held))
      .map(conditionOf)
      .sort((a, b) => RANK[a.severity] - RANK[b.severity] || a.sinceMs - b.sinceMs);
  }

  /** Those listed that keep the daemon from being ready. */
  failing(nowMs: number = this.#now()): Condition[] {
    return this.list(nowMs).filter(({ affectsReadiness }) => affectsReadiness);
  }

  /** Tells of every change as it happens, shown or not. Gives a function that ends it. */
  subscribe(listener: (change: ConditionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #follows({ code, subject }: Held): boolean {
    const causes = CONDITIONS[code].dependsOn ?? [];
    return causes.some((cause) => {
      if (!isConditionCode(cause)) return false;
      return this.has(cause, subject) || this.has(cause);
    });
  }

  #tell(kind: ConditionChange["kind"], held: Held): void {
    const change = { kind, condition: conditionOf(held) };
    for (const listener of this.#listeners) listener(change);
  }
}

export function isConditionCode(code: string): code is ConditionCode {
  return Object.hasOwn(CONDITIONS, code);
}

const RANK = { error: 0, warning: 1, info: 2 } as const;

const idOf = (code: ConditionCode, subject: string | undefined): string =>
  subject === undefined ? code : `${code}/${subject}`;

function conditionOf({ code, subject, text, sinceMs }: Held): Condition {
  const { severity, title, whatToDo, affectsReadiness } = CONDITIONS[code];
  const about = { code, severity, title, text, whatToDo: fill(whatToDo), affectsReadiness, sinceMs };
  return subject === undefined ? about : { ...about, subject };
}

function fill(template: string, detail?: ConditionDetail): string {
  const values = typeof detail === "object" ? detail : {};
  const text = template.replace(/\{(\w+)\|([^}]*)\}/g, (_, name: string, otherwise: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : otherwise,
  );
  return typeof detail === "string" && detail !== "" ? `${text} (${detail})` : text;
}
