/**
 * Types of the events by which a person settles a conflict. Events like any others, with data as the domain's others have
 * it; the header `Cim-Resolves` names the conflict.
 */
export const RESOLUTION_TYPES = {
  /** What had lost is written again. */
  reinstated: "ConflictReinstated",
  /** A value of somebody's choice is written. */
  resolved: "ConflictResolved",
} as const;
