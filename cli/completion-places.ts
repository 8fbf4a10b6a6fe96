import type { Argument, Command, Option } from "commander";

/** What may stand as a word's value. */
export type ValueKind =
  | { readonly kind: "folder" }
  | { readonly kind: "file" }
  | { readonly kind: "choices"; readonly choices: readonly string[] }
  | { readonly kind: "any" };

export interface CompletableOption {
  readonly flags: readonly string[];
  readonly summary: string;
  /** Undefined: a switch. */
  readonly value: ValueKind | undefined;
}

/** A point of the command tree: what may be written next there. */
export interface Place {
  /** `cim/events/tail`. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly CompletableOption[];
  /** Of the first argument. */
  readonly argument: ValueKind | undefined;
}

/** Every place of a command tree, the root first. */
export function completionPlaces(command: Command, parent = ""): Place[] {
  const path = parent === "" ? command.name() : `${parent}/${command.name()}`;
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const [argument] = command.registeredArguments;
  return [
    {
      path,
      commands: commands.map((one) => ({
        name: one.name(),
        summary: firstSentence(one.summary() || one.description()),
      })),
      options: help.visibleOptions(command).map(completable),
      argument: argument && valueKindOf(argument.name(), argument),
    },
    ...commands.flatMap((one) => completionPlaces(one, path)),
  ];
}

function completable(option: Option): CompletableOption {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined);
  const takesValue = option.required || option.optional;
  const name = /[<[](\w+)/.exec(option.flags)?.[1] ?? "";
  return {
    flags,
    summary: firstSentence(option.description),
    value: takesValue ? valueKindOf(name, option) : undefined,
  };
}

function valueKindOf(name: string, { argChoices }: Option | Argument): ValueKind {
  if (argChoices && argChoices.length > 0) return { kind: "choices", choices: argChoices };
  if (name === "folder" || name === "file") return { kind: name };
  return { kind: "any" };
}

function firstSentence(text: string): string {
  const sentence = text.split(/[.:;](?=\s|$)/)[0] ?? text;
  // It goes between quotes of a shell.
  return sentence
    .replaceAll("'", "’")
    .replaceAll(/[\s"`$\\]+/g, " ")
    .trim();
}

/** `cim/events/tail:--from` for every flag that a value follows, of all places. */
export function flagsWithValue(places: readonly Place[]): string[] {
  return places.flatMap(({ path, options }) =>
    options.filter(({ value }) => value).flatMap(({ flags }) => flags.map((flag) => `${path}:${flag}`)),
  );
}

/** Which values belong to which of these flags; those that are alike in one group. */
export function valueGroups(
  places: readonly Place[],
): { readonly flags: string[]; readonly value: ValueKind }[] {
  const groups = new Map<string, { flags: string[]; value: ValueKind }>();
  for (const { path, options } of places) {
    for (const { flags, value } of options) {
      if (!value) continue;
      const id = JSON.stringify(value);
      const group = groups.get(id) ?? { flags: [], value };
      group.flags.push(...flags.map((flag) => `${path}:${flag}`));
      groups.set(id, group);
    }
  }
  return [...groups.values()];
}

/** The names of the commands and of the first argument's choices at a place. */
export function namesAt({
  commands,
  argument,
}: Place): { readonly name: string; readonly summary: string }[] {
  const choices = argument?.kind === "choices" ? argument.choices : [];
  return [...commands, ...choices.map((name) => ({ name, summary: "" }))];
}
