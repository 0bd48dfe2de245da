# SPDX-License-Identifier: Apache-2.0
# Completion of instarctl for fish. The verbs are the program's own (instarctl --verbs).

# What stands before the cursor that names the server.
function __instarctl_server
    set -l words (commandline -opc)
    set -l i 2
    while test $i -le (count $words)
        if contains -- $words[$i] -d -f
            echo $words[$i]
            echo $words[(math $i + 1)]
            set i (math $i + 1)
        end
        set i (math $i + 1)
    end
end

function __instarctl_ask
    set -l program (commandline -opc)[1]
    $program (__instarctl_server) $argv 2>/dev/null
end

function __instarctl_verbs
    __instarctl_ask --verbs
end

function __instarctl_needs_verb
    set -l verbs (__instarctl_verbs | string split -f 1 \t)
    not __fish_seen_subcommand_from $verbs
end

complete -c instarctl -f
complete -c instarctl -n __instarctl_needs_verb -a '(__instarctl_verbs)'
complete -c instarctl -s d -x -a '(__fish_complete_directories)' -d 'another initial ServerRoot'
complete -c instarctl -s f -r -F -d 'another configuration'
complete -c instarctl -s D -x -d 'define a name'
complete -c instarctl -s c -x -d 'a directive behind the configuration'
complete -c instarctl -l json -d 'one JSON object'
complete -c instarctl -s h -l help -d 'show the verbs'
complete -c instarctl -s v -l version -d 'show the version'
complete -c instarctl -n '__fish_seen_subcommand_from top tail' -s n -x -d 'samples, or lines'
complete -c instarctl -n '__fish_seen_subcommand_from top' -s i -x -d 'seconds between samples'
complete -c instarctl -n '__fish_seen_subcommand_from routes' -l method -x \
    -a 'GET HEAD POST PUT PATCH DELETE OPTIONS' -d 'of the request'
complete -c instarctl -n '__fish_seen_subcommand_from routes' -l host -x -d 'of the request'
complete -c instarctl -n '__fish_seen_subcommand_from tail' \
    -a 'error access (__instarctl_ask logs | string split -m 1 -f 2 " ")'
complete -c instarctl -n '__fish_seen_subcommand_from rollback' \
    -a '(__instarctl_ask generations | string replace -rf "^ *generation (\d+).*" "\$1")'
