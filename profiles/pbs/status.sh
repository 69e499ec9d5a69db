#!/bin/sh
# What became of job $1: running, success or failed. Needs a server that remembers ended jobs
# (job_history_enable).
told=$(qstat -x -f "$1" 2>/dev/null)
case $(echo "$told" | sed -n 's/.*job_state = \([A-Z]\).*/\1/p') in
    F) case $(echo "$told" | sed -n 's/.*Exit_status = \(-*[0-9]*\).*/\1/p') in
           0) echo success ;;
           *) echo failed ;;
       esac ;;
    B | E | H | M | Q | R | S | T | W) echo running ;;
    *) echo failed ;;
esac
