# SPDX-License-Identifier: Apache-2.0
# Completion of ixs for fish.

complete -c ixs -f
complete -c ixs -n __fish_use_subcommand -a new -d 'make a module with its configuration and its test'
complete -c ixs -n __fish_use_subcommand -a check -d 'compile a module and load it'
complete -c ixs -s q -x -a 'PREFIX BINDIR SBINDIR SYSCONFDIR INCLUDEDIR MODULESDIR VERSION INSTAR CC' \
    -d 'a path of the installation'
complete -c ixs -n '__fish_seen_subcommand_from new' -a '(__fish_complete_directories)'
complete -c ixs -n '__fish_seen_subcommand_from check' -F
