export type HealthState = "up" | "unreachable" | "down";

/** What is known of each thing that can speak of a node's life. */
export interface Evidence {
  /** Its link to the hub. `none`: never seen. */
  readonly link: "up" | "down" | "none";
  /**
   * Its agent. `late`: suspected, not yet silent. `awaited`: linked, or known, a moment ago and not yet heard since.
   * `silent`: was heard once, or should have been. `goodbye`: it said that it ends.
   */
  readonly agent: "speaks" | "late" | "awaited" | "silent" | "goodbye";
  /** The API of its server, asked over the link since its agent was last heard. `unasked`: no answer was due yet. */
  readonly server: "answers" | "silent" | "unasked";
  /** The probe of its `url`. `refused`: its host answers that nothing listens there, as often as `health.retries` says. */
  readonly probe: "answers" | "refused" | "silent" | "none";
}

export interface Verdict {
  readonly state: HealthState;
  /** Up, but there is a doubt. */
  readonly suspect: boolean;
  /** What does not work; null unless down. */
  readonly part: "agent" | "server" | null;
  /** Why, in a few words. */
  readonly because: string;
}

type Row = { readonly [Key in keyof Evidence]?: readonly Evidence[Key][] } & Verdict;

const up = { state: "up", suspect: false, part: null } as const;
const suspected = { state: "up", suspect: true, part: null } as const;
const unreachable = { state: "unreachable", suspect: false, part: null } as const;
const down = (part: "agent" | "server") => ({ state: "down", suspect: false, part }) as const;

/**
 * The first row that fits holds. *down* needs something that answers and proves it: a goodbye, a host that says that
 * nothing listens, a server that answers while its agent does not. Where nothing answers, the node may well be working.
 */
export const VERDICTS: readonly Row[] = [
  { agent: ["goodbye"], ...down("agent"), because: "its agent said goodbye" },
  {
    agent: ["speaks"],
    server: ["silent"],
    ...suspected,
    because: "its agent speaks, its server's API is silent",
  },
  { agent: ["speaks"], ...up, because: "its agent speaks" },
  { agent: ["late"], ...suspected, because: "its agent is late" },
  {
    link: ["down", "none"],
    probe: ["refused"],
    ...down("server"),
    because: "its host answers, its server does not",
  },
  { agent: ["awaited"], ...unreachable, because: "its agent has not spoken yet" },
  { server: ["answers"], ...down("agent"), because: "its server answers, its agent does not" },
  { probe: ["answers"], ...unreachable, because: "it answers where it is probed, but not over its link" },
  { link: ["up"], ...unreachable, because: "nothing comes over its link, which is not closed" },
  { ...unreachable, because: "nothing of it answers" },
];

/** Reads the table. */
export function verdictOf(evidence: Evidence): Verdict {
  for (const { link, agent, server, probe, ...verdict } of VERDICTS) {
    const fits =
      (!link || link.includes(evidence.link)) &&
      (!agent || agent.includes(evidence.agent)) &&
      (!server || server.includes(evidence.server)) &&
      (!probe || probe.includes(evidence.probe));
    if (fits) return verdict;
  }
  throw new Error("the last row of the table fits everything");
}
