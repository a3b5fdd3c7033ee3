#!/usr/bin/env bash
# Sets the number of workers of a Deployment to what `likeness queue` says it takes to be done in time.
#
# From the environment: LIKENESS_HOME, NAMESPACE, DEPLOYMENT; WITHIN, the time in which the queue should be empty;
# MIN_WORKERS and MAX_WORKERS; FIRST_WORKERS, how many to start with while no speed is known. Kubernetes sets the rest.
set -euo pipefail

: "${LIKENESS_HOME:?}" "${NAMESPACE:?}" "${DEPLOYMENT:?}"
within=${WITHIN:-24h} least=${MIN_WORKERS:-0} first=${FIRST_WORKERS:-2} most=${MAX_WORKERS:-20}
account=${ACCOUNT:-/var/run/secrets/kubernetes.io/serviceaccount}
server=${API_SERVER:-https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT}
url=$server/apis/apps/v1/namespaces/$NAMESPACE/deployments/$DEPLOYMENT/scale

# The token goes through a file descriptor: a command line is for everybody to read.
api() {
  curl -fsS --max-time 20 --cacert "$account/ca.crt" \
    -H @<(printf 'Authorization: Bearer %s\n' "$(cat "$account/token")") "$@"
}

# number NAME: the whole number of that name in the JSON on standard input, or nothing.
number() { tr -d ' \n' | sed -n 's/.*"'"$1"'":\([0-9][0-9]*\)[,}].*/\1/p'; }

state=$(likeness --home "$LIKENESS_HOME" --json queue --within "$within" | tail -n 1)
depth=$(printf '%s' "$state" | number depth)
needed=$(printf '%s' "$state" | number workers_needed)
[ -n "$depth" ] || { echo "scale: likeness queue did not say how much waits" >&2; exit 1; }
current=$(api "$url" | tr -d ' \n' | sed -n 's/.*"spec":{\([^}]*\)}.*/{\1}/p' | number replicas)
current=${current:-0}

if [ -z "$needed" ]; then
  # Work, but nobody has finished any of it yet.
  needed=$((current > first ? current : first))
fi
if [ "$needed" -gt "$depth" ]; then needed=$depth; fi
if [ "$needed" -lt "$least" ]; then needed=$least; fi
if [ "$needed" -gt "$most" ]; then needed=$most; fi
# Rates waver: a fifth more than needed stays.
if [ "$depth" -gt 0 ] && [ "$needed" -lt "$current" ] && [ $((needed * 5)) -ge $((current * 4)) ] &&
  [ "$current" -le "$most" ]; then
  needed=$current
fi
echo "depth $depth, workers $current, wanted $needed"
if [ "$needed" -ne "$current" ]; then
  api -o /dev/null -X PATCH -H 'Content-Type: application/merge-patch+json' \
    -d "{\"spec\":{\"replicas\":$needed}}" "$url"
fi
