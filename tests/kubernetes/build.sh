#!/usr/bin/env bash
# Builds a real API server, controller manager and scheduler from Debian's source package, and gets etcd beside them.
# Nothing lands in the repository: all is in the directory given, or in ~/.cache/murphy/kubernetes. Once built, it returns at
# once. Nine minutes on two cores; 4 GiB of disk while it builds.
set -euo pipefail

cache=$(realpath -m "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/murphy/kubernetes}")
wanted="kube-apiserver kube-controller-manager kube-scheduler"
built() { for each in $wanted; do [ -x "$cache/bin/$each" ] || return 1; done; }

tools() { command -v etcd && { built || [ -d /usr/share/gocode/src/github.com/modern-go/reflect2 ]; }; }
if ! tools >/dev/null; then
    [ "$(id -u)" = 0 ] || { echo "as root: apt-get install golang-go golang-github-modern-go-reflect2-dev rsync dpkg-dev etcd-server" >&2; exit 2; }
    apt-get update -qq
    RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
        golang-go golang-github-modern-go-reflect2-dev rsync dpkg-dev etcd-server >/dev/null
fi
built && exit 0

mkdir -p "$cache/lists/partial" "$cache/bin"
cd "$cache"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main" >sources.list
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$cache/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$cache/lists")
"${apt[@]}" update
rm -rf source
"${apt[@]}" source --download-only kubernetes
dpkg-source --no-check -x kubernetes_*.dsc source >/dev/null

cd source
# As the package's own rules do it: everything is vendored, so nothing is fetched.
export GOPATH="$PWD/.go" GOCACHE="$cache/go" GOPROXY=off CGO_ENABLED=0 HOME="$cache"
# The vendored reflect2 1.0.1 reads Go's maps as they were before Go 1.18: the server would die of any custom resource.
rm vendor/github.com/modern-go/reflect2/*.{go,s}
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} vendor/github.com/modern-go/reflect2/
mkdir -p .go/src/k8s.io
ln -s ../../.. .go/src/k8s.io/kubernetes
# shellcheck disable=SC2086
nice -n 19 make WHAT="$(printf 'cmd/%s ' $wanted)"
for each in $wanted; do install -m 0755 "_output/bin/$each" "$cache/bin/$each"; done
cd "$cache"
chmod -R u+w source
rm -rf source go lists kubernetes_* sources.list
