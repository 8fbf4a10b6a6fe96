import { flagsWithValue, namesAt, type Place, type ValueKind } from "./completion-places.ts";

/** Completions for fish, as a file or sourced. */
export function fishCompletion(places: readonly Place[]): string {
  return `# Completion of cim for fish. To have it now: cim completion fish | source
function __cim_place
    set -l values ${flagsWithValue(places).join(" ")}
    set -l places ${places.map(({ path }) => path).join(" ")}
    set -l place cim
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip -eq 1
            set skip 0
        else if contains -- "$place:$word" $values
            set skip 1
        else if contains -- "$place/$word" $places
            set place "$place/$word"
        end
    end
    echo $place
end
complete -c cim -f
${places.flatMap(linesOf).join("\n")}
`;
}

function linesOf(place: Place): string[] {
  const here = `complete -c cim -n 'test (__cim_place) = ${place.path}'`;
  return [
    ...namesAt(place).map(({ name, summary }) => `${here} -a ${name}${described(summary)}`),
    ...place.options.map(({ flags, summary, value }) => {
      const names = flags.map((flag) =>
        flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
      );
      return `${here} ${names.join(" ")}${value ? reply(value) : ""}${described(summary)}`;
    }),
  ];
}

function described(summary: string): string {
  return summary === "" ? "" : ` -d '${summary}'`;
}

function reply(value: ValueKind): string {
  switch (value.kind) {
    case "folder":
      return " -x -a '(__fish_complete_directories)'";
    case "file":
      return " -r -F";
    case "choices":
      return ` -x -a '${value.choices.join(" ")}'`;
    case "any":
      return " -x";
  }
}
