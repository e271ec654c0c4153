# Sourced by what runs in tests/: installs pinned lists of Python tools below .tools/, once each.

# Prints the directory of a list's commands, and installs it unless that very list is installed.
tools() { # a name, the list
    local python stamp directory
    stamp=$(sha256sum "$2" | cut -c1-16)
    directory=.tools/$1-$stamp
    if [[ ! -f $directory/ready ]]; then
        python=$(command -v python3.11 || command -v python3) || { echo "Python 3.11 is missing" >&2; return 1; }
        rm -rf "$directory"
        "$python" -m venv "$directory"
        # Nothing is resolved, built or trusted: the list is complete and has the hash of every wheel.
        "$directory/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --require-hashes --only-binary :all: --requirement "$2"
        touch "$directory/ready"
    fi
    printf '%s/bin\n' "$PWD/$directory"
}
