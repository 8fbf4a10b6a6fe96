import { flagsWithValue, namesAt, type Place, type ValueKind, valueGroups } from "./completion-places.ts";

/** A function for zsh's completion system: as a file `_cim` in `fpath`, or sourced after `compinit`. */
export function zshCompletion(places: readonly Place[]): string {
  return `#compdef cim
# Completion of cim for zsh. To have it now, after compinit: source <(cim completion zsh)
_cim() {
  local place=cim word i
  local -a names flags
  local values="
${flagsWithValue(places)
  .map((flag) => `    ${flag}`)
  .join("\n")}
  "
  local places="
${places.map(({ path }) => `    ${path}`).join("\n")}
  "
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    if [[ $values == *[[:space:]]"$place:$word"[[:space:]]* ]]; then
      ((++i < CURRENT)) && continue
      _cim_value "$place:$word"
      return
    fi
    [[ $places == *[[:space:]]"$place/$word"[[:space:]]* ]] && place=$place/$word
  done
  case $place in
${places.map(wordsAt).join("\n")}
  esac
}
_cim_value() {
  case $1 in
${valueGroups(places)
  .map(({ flags, value }) => `    ${flags.join("|")})\n      ${reply(value)}\n      ;;`)
  .join("\n")}
  esac
}
if [[ $funcstack[1] == _cim ]]; then _cim "$@"; else compdef _cim cim; fi
`;
}

function reply(value: ValueKind): string {
  switch (value.kind) {
    case "folder":
      return "_files -/";
    case "file":
      return "_files";
    case "choices":
      return `compadd -- ${value.choices.join(" ")}`;
    case "any":
      return ":";
  }
}

function wordsAt(place: Place): string {
  const names = namesAt(place).map(({ name, summary }) => described(name, summary));
  const flags = place.options.flatMap(({ flags: all, summary }) =>
    all.filter((flag) => flag.startsWith("--")).map((flag) => described(flag, summary)),
  );
  const lines = [
    `    ${place.path})`,
    ...(names.length > 0 ? ["      names=(", ...names, "      )", "      _describe command names"] : []),
    "      flags=(",
    ...flags,
    "      )",
    "      _describe -o option flags",
    "      ;;",
  ];
  return lines.join("\n");
}

function described(name: string, summary: string): string {
  return `        '${name}${summary === "" ? "" : `:${summary.replaceAll(":", " ")}`}'`;
}
