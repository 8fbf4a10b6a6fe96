import {
  type CommitRefused,
  type CommitStored,
  refuseCommit,
  versionText,
} from "../../../shared/protocol/commit.ts";
import { HEADER, STREAM } from "../../../shared/protocol/names.ts";
import { domainOf, EVENTS_PREFIX } from "../../../shared/protocol/subjects.ts";
import { judgeEvent, type LogRules, type RefusalReason } from "../judge-event.ts";
import type { Commit } from "./read-commit.ts";
import type { KnownCommit } from "./recent-commits.ts";

/** What the log takes as commits. */
export interface CommitRules {
  /** The hub's JetStream domain. */
  readonly hub: string;
  readonly isStrong: (domain: string) => boolean;
}

export type CommitJudgement =
  /** It is the next event of its aggregate. */
  | { readonly kind: "take" }
  /** It can't be judged before the aggregate's version is read in the log. */
  | { readonly kind: "unread" }
  | { readonly kind: "said"; readonly reply: CommitStored | CommitRefused };

const WORDS: Readonly<Record<string, string>> = {
  "too-large": "it is larger than the hub's server takes (nats.maxPayload)",
  "bad-subject": "its subject is none that an event may have",
  "bad-headers": "its id or headers are none that an event may have",
  "wrong-contract": "its data is not what the hub's contract of the domain says",
} satisfies Record<RefusalReason, string>;

/**
 * What becomes of a commit when the log is where it is now. First of all it may be one that was sent again: that its answer
 * got lost must not make it a second event, nor a conflict with itself. Pure.
 */
export function judgeCommit(
  { event, aggregate, expected }: Commit,
  facts: {
    readonly known: KnownCommit | undefined;
    readonly version: number | undefined;
    /** Whoever sent it has given up by now. */
    readonly isLate: boolean;
  },
  rules: CommitRules & LogRules,
): CommitJudgement {
  const say = (reply: CommitStored | CommitRefused): CommitJudgement => ({ kind: "said", reply });
  const { known, version } = facts;
  if (known) {
    if (known.subject === event.subject) return say(storedAt(rules.hub, known.seq, known.index, true));
    const words = `the id ${event.id} is that of ${known.subject}; write another ${HEADER.msgId}`;
    return say(refuseCommit("event", words));
  }
  const domain = domainOf(event.subject);
  if (!rules.isStrong(domain)) {
    const words = `the hub's contracts do not say that ${domain} is strong; give its nodes the same contracts`;
    return say(refuseCommit("domain", words));
  }
  const reason = judgeEvent(event, rules, "commit");
  if (reason !== undefined) return say(refuseCommit("event", WORDS[reason] ?? reason));
  if (facts.isLate) return say(refuseCommit("unavailable", "it waited too long at the hub; send it again"));
  if (expected === undefined) return { kind: "take" };
  if (version === undefined) return { kind: "unread" };
  if (version === expected) return { kind: "take" };
  const whose = aggregate.slice(EVENTS_PREFIX.length, -2);
  const words = `wrong version: ${whose} is at ${versionText(version)}, not at ${versionText(expected)}`;
  return say(refuseCommit("version", words, version));
}

/** The answer when an event is in the log. */
export function storedAt(hub: string, seq: number, version: number, duplicate = false): CommitStored {
  return { stream: STREAM.events, domain: hub, seq, version, ...(duplicate && { duplicate }) };
}
