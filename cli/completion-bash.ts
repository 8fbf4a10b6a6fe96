import { flagsWithValue, namesAt, type Place, type ValueKind, valueGroups } from "./completion-places.ts";

/** A script for bash, of the shell's own means alone. */
export function bashCompletion(places: readonly Place[]): string {
  return `# Completion of cim for bash. To have it now: source <(cim completion bash)
_cim() {
  local cur=\${COMP_WORDS[COMP_CWORD]} place=cim word i
  local values="
${flagsWithValue(places)
  .map((flag) => `    ${flag}`)
  .join("\n")}
  "
  local places="
${places.map(({ path }) => `    ${path}`).join("\n")}
  "
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $values == *[[:space:]]"$place:$word"[[:space:]]* ]]; then
      ((++i < COMP_CWORD)) && continue
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
complete -F _cim cim
`;
}

function reply(value: ValueKind): string {
  switch (value.kind) {
    case "folder":
      return `compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -d -- "$cur"))`;
    case "file":
      return `compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- "$cur"))`;
    case "choices":
      return list(value.choices);
    case "any":
      return ":";
  }
}

function wordsAt(place: Place): string {
  const names = namesAt(place).map(({ name }) => name);
  const flags = place.options.flatMap((option) => option.flags.filter((flag) => flag.startsWith("--")));
  const words =
    names.length > 0 ? `if [[ $cur == -* ]]; then ${list(flags)}; else ${list(names)}; fi` : list(flags);
  return `    ${place.path}) ${words} ;;`;
}

function list(words: readonly string[]): string {
  return `COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$cur"))`;
}
