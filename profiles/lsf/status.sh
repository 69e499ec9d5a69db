#!/bin/sh
# What became of job $1: running, success or failed.
case $(bjobs -noheader -o stat "$1" 2>/dev/null) in
    DONE) echo success ;;
    PEND | RUN | WAIT | PROV | PSUSP | USUSP | SSUSP) echo running ;;
    *) echo failed ;;
esac
