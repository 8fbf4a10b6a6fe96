import type { GroupRecord } from "./reader-record.ts";

/**
 * The partition of an aggregate: FNV-1a over `<domain>.<aggregate>`, UTF-16 units, modulo. Checkpoints are kept by it, so
 * it is never to change.
 */
export function partitionOf(domain: string, aggregate: string | undefined, partitions: number): number {
  const text = `${domain}.${aggregate ?? ""}`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0) % partitions;
}

/**
 * Shares partitions out, to within one of each other. Who has one keeps it, as far as that goes: what moves is handled
 * again from its last save on. `members` has no doubles and is not empty.
 */
export function shareOut(owners: readonly string[], members: readonly string[]): string[] {
  const has = new Map(members.map((member) => [member, 0]));
  for (const owner of owners) {
    const count = has.get(owner);
    if (count !== undefined) has.set(owner, count + 1);
  }
  const least = Math.floor(owners.length / members.length);
  const oneMore = owners.length % members.length;
  // Those who have the most keep the one more.
  const ranked = [...has].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const room = new Map(ranked.map(([member], rank) => [member, least + (rank < oneMore ? 1 : 0)]));
  const take = (member: string): boolean => {
    const left = room.get(member) ?? 0;
    if (left > 0) room.set(member, left - 1);
    return left > 0;
  };
  const kept = owners.map((owner) => (take(owner) ? owner : undefined));
  const free = [...room].flatMap(([member, left]) => Array<string>(left).fill(member));
  return kept.map((owner) => owner ?? (free.shift() as string));
}

/** The group after a member's beat; `present`: who is not gone. */
export function afterBeat(group: GroupRecord, member: string, present: ReadonlySet<string>): GroupRecord {
  const members = Object.fromEntries(
    Object.entries(group.members).filter(([one]) => one !== member && present.has(one)),
  );
  members[member] = (group.members[member] ?? 0) + 1;
  return { ...group, members, owners: shareOut(group.owners, Object.keys(members)) };
}

/** The group without a member that leaves. */
export function afterLeaving(group: GroupRecord, member: string): GroupRecord {
  const { [member]: _, ...members } = group.members;
  const left = Object.keys(members);
  return { ...group, members, owners: left.length === 0 ? group.owners : shareOut(group.owners, left) };
}

/**
 * Tells who is gone: whose beat has stood still for `leaseMs` of this process's own clock. No clocks are compared. Looked at
 * too rarely, as while this process or its server stood still, it begins anew: then nobody else could beat, either.
 */
export class Sightings {
  readonly #leaseMs: number;
  #seen = new Map<string, { readonly beat: number; readonly sinceMs: number }>();
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** @returns who is present */
  look(members: Readonly<Record<string, number>>, nowMs: number): Set<string> {
    const isFresh = nowMs - this.#lastMs > this.#leaseMs / 2;
    this.#lastMs = nowMs;
    const seen = new Map<string, { readonly beat: number; readonly sinceMs: number }>();
    for (const [member, beat] of Object.entries(members)) {
      const before = this.#seen.get(member);
      const same = before?.beat === beat && !isFresh;
      seen.set(member, same ? before : { beat, sinceMs: nowMs });
    }
    this.#seen = seen;
    return new Set(
      [...seen].flatMap(([member, { sinceMs }]) => (nowMs - sinceMs < this.#leaseMs ? member : [])),
    );
  }
}
