# SPDX-License-Identifier: Apache-2.0
# Completion of instar for fish.

complete -c instar -f
complete -c instar -s D -x -a 'FOREGROUND DUMP_VHOSTS DUMP_MODULES' -d 'define a name'
complete -c instar -s d -x -a '(__fish_complete_directories)' -d 'another initial ServerRoot'
complete -c instar -s f -r -F -d 'another configuration'
complete -c instar -s c -x -d 'a directive behind the configuration'
complete -c instar -s e -x -a 'emerg alert crit error warn notice info debug trace1' \
    -d 'LogLevel while starting'
complete -c instar -s k -x -a 'start restart graceful graceful-stop stop configtest' \
    -d 'start, or tell the running server'
complete -c instar -s t -d 'check the configuration and try the modules'
complete -c instar -s S -d 'show the virtual hosts'
complete -c instar -s M -d 'show the modules'
complete -c instar -s L -d 'show all directives'
complete -c instar -s X -d 'one worker, no fork, in the foreground'
complete -c instar -s v -d 'show the version'
complete -c instar -s V -d 'show the version and the compile settings'
complete -c instar -s h -d 'show the options'
