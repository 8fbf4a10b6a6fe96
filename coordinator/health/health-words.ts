import type { Standing } from "./node-detector.ts";
import type { Evidence } from "./verdict.ts";

export interface HealthFacts {
  readonly role: "hub" | "leaf";
  readonly standing: Standing;
  readonly evidence: Evidence;
  /** Since its agent was last heard, ms; null: never. */
  readonly silentForMs: number | null;
  /** Since when the link is as it is, ms; null: it was never seen. */
  readonly linkForMs: number | null;
  /** Why the link is down. */
  readonly linkReason: string | undefined;
  readonly url: string | null;
}

/** Why a node is taken to be as it is, then what was seen of it, for people. */
export function healthWords(facts: HealthFacts): string[] {
  const { standing, evidence, role } = facts;
  const { heldBackMs } = standing;
  return [
    heldBackMs > 0
      ? `it comes and goes: up again when well for ${seconds(heldBackMs)} more`
      : standing.because,
    agentWords(facts),
    role === "hub" ? ownServerWords(evidence) : linkWords(facts),
    ...(role === "hub" ? [] : serverWords(evidence)),
    ...(facts.url === null ? [] : [PROBE_WORDS[evidence.probe](facts.url)]),
  ].filter((words, at, all) => words !== "" && all.indexOf(words) === at);
}

function agentWords({ evidence, silentForMs }: HealthFacts): string {
  if (silentForMs === null) return "no heartbeat yet";
  const ago = `${seconds(silentForMs)} ago`;
  return evidence.agent === "goodbye" ? `goodbye ${ago}` : `last heartbeat ${ago}`;
}

function linkWords({ evidence, linkForMs, linkReason }: HealthFacts): string {
  const { link } = evidence;
  if (link === "none" || linkForMs === null) return "no link yet";
  if (link === "up") return `link up for ${seconds(linkForMs)}`;
  return `link down for ${seconds(linkForMs)}${linkReason === undefined ? "" : ` (${linkReason})`}`;
}

const ownServerWords = ({ link }: Evidence): string =>
  link === "up" ? "its server answers" : "its own server does not answer";

function serverWords({ server }: Evidence): string[] {
  if (server === "unasked") return [];
  return [server === "answers" ? "its server's API answers" : "its server's API does not answer"];
}

const PROBE_WORDS: Readonly<Record<Evidence["probe"], (url: string) => string>> = {
  answers: (url) => `${url} answers`,
  refused: (url) => `${url} is refused by its host`,
  silent: (url) => `${url} does not answer`,
  none: () => "",
};

function seconds(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 1_000)} s`;
}
