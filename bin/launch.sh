# Sourced by the commands in this folder, with $name set. Runs the program on Node >= 24 by exec, so that
# its pid, signals and exit code are the command's own: a supervisor that kills the pid kills the daemon.
package=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")

# Daemons run for months beside other work: less memory before speed (lab/daemon-command.ts has the same and says more).
options=
case $name in
  cim-*)
    options="--max-semi-space-size=2 --heap-growing-percent=100 --external-memory-accounted-in-global-limit"
    export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"
    ;;
esac

if [ -f "$package/scripts/run" ]; then # a checkout runs its sources
  case $name in
    cim) entry=cli/main.ts ;;
    *) entry=${name#cim-}/main.ts ;;
  esac
  exec "$package/scripts/run" "$entry" "$@"
fi

# The `node` package this one depends on: beside it, or inside it when npm did not hoist.
for node in "$package/node_modules/node/bin/node" "$package/../node/bin/node"; do
  [ -x "$node" ] && exec "$node" $options "$package/dist/$name.js" "$@"
done

if node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)' 2>/dev/null; then
  exec node $options "$package/dist/$name.js" "$@"
fi
echo "$name: needs Node >= 24, and the node package came without one (were install scripts switched off?):" \
  "run \`npm rebuild node --ignore-scripts=false\`, or put a newer node on PATH" >&2
exit 2
