import {
  type Contracts,
  type DomainContract,
  type FieldType,
  type Granularity,
  type Mode,
  type ResolverName,
  USUAL_CONTRACT,
} from "./contract.ts";

/** What is declared for one domain; what is left out is as usual. */
export interface DeclaredContract {
  readonly mode?: Mode | undefined;
  readonly resolver?: ResolverName | undefined;
  readonly granularity?: Granularity | undefined;
  readonly fields?: Readonly<Record<string, FieldType>> | undefined;
  readonly retentionDays?: number | null | undefined;
  readonly subscribers?: readonly string[] | undefined;
  /** Absolute path of a file with the domain's own code. */
  readonly module?: string | null | undefined;
}

/** What holds for every domain that says nothing else. */
export interface UsualReplication {
  readonly mode: Mode;
  readonly conflictResolution: ResolverName;
}

/**
 * The contracts of a node, complete. Pure.
 * @param sha256Of of a module's content, hex; may throw what its caller understands
 */
export function contractsFrom(
  usual: UsualReplication,
  declared: Readonly<Record<string, DeclaredContract>>,
  sha256Of: (path: string) => string,
): Contracts {
  const base: DomainContract = { ...USUAL_CONTRACT, mode: usual.mode, resolver: usual.conflictResolution };
  const domains = Object.entries(declared).map(([domain, entry]): [string, DomainContract] => [
    domain,
    {
      domain,
      mode: entry.mode ?? base.mode,
      resolver: entry.resolver ?? base.resolver,
      granularity: entry.granularity ?? base.granularity,
      fields: sorted(entry.fields ?? base.fields),
      retentionDays: entry.retentionDays ?? null,
      subscribers: [...new Set(entry.subscribers ?? base.subscribers)].sort(),
      module: entry.module == null ? null : { path: entry.module, sha256: sha256Of(entry.module) },
    },
  ]);
  return { usual: base, domains: sorted(Object.fromEntries(domains)) };
}

/** The same declarations are the same contracts, in whatever order they were written. */
function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
