#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: no systemd, no cgroups, no accounting, and GPUs that
# are only counted.
#     one_node.sh installed   fails where Slurm is not installed
#     one_node.sh available   says whether it can be had here, and why not
#     one_node.sh install     installs what is missing of it
#     one_node.sh up FOLDER   starts the daemons with their state in FOLDER
#     one_node.sh down FOLDER ends them again and takes the configuration away
# The configuration has to lie in /etc/slurm, Debian's default place: the job step of snakemake's Slurm
# plugin drops SLURM_CONF from its environment. A configuration that is there already is left alone.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
conf=/etc/slurm
mark="# written for the tests of dynmatch"
gpus=2

installed() {
    command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null
}

available() {
    [ "$(uname -s)" = Linux ] || { echo "Slurm's daemons need Linux"; return 1; }
    [ "$(id -u)" = 0 ] || { echo "starting Slurm's daemons needs root"; return 1; }
    if [ -s $conf/slurm.conf ] && ! grep -qx "$mark" $conf/slurm.conf; then
        echo "there is a Slurm already ($conf/slurm.conf)"
        return 1
    fi
    installed && return 0
    command -v apt-get >/dev/null || { echo "Slurm is neither here nor to be had from Debian"; return 1; }
    apt-get update -qq >/dev/null 2>&1 || true
    apt-get install -y -qq --simulate slurm-wlm munge >/dev/null 2>&1 ||
        { echo "the Debian packages slurm-wlm and munge cannot be installed here"; return 1; }
}

configure() { # folder
    local host cpus memory
    host=$(hostname -s)
    cpus=$(nproc)
    memory=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    mkdir -p $conf "$1"/{run,log,controller,node,gpu}
    chmod 755 "$1" "$1/run"
    (umask 077 && head -c 1024 /dev/urandom >"$1/munge.key")
    # slurmd drops a GPU without a device file
    for i in $(seq 0 $((gpus - 1))); do ln -sfn /dev/null "$1/gpu/nvidia$i"; done
    echo "NodeName=$host Name=gpu File=$1/gpu/nvidia[0-$((gpus - 1))]" >$conf/gres.conf
    cat >$conf/slurm.conf <<CONF
$mark
ClusterName=onenode
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$1/run/munge.socket
CredType=cred/munge
StateSaveLocation=$1/controller
SlurmdSpoolDir=$1/node
SlurmctldPidFile=$1/run/slurmctld.pid
SlurmdPidFile=$1/run/slurmd.pid
SlurmctldLogFile=$1/log/slurmctld.log
SlurmdLogFile=$1/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
KillWait=5
# squeue still knows a job this long after its end, s: at least three times the interval of its polls
MinJobAge=3600
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory Gres=gpu:$gpus State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=gpu Nodes=$host MaxTime=1-00:00:00 State=UP
CONF
}

install() {
    available || exit 1
    installed || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        slurm-wlm munge >/dev/null
}

up() { # folder
    configure "$1"
    munged --force --key-file="$1/munge.key" --socket="$1/run/munge.socket" \
        --pid-file="$1/run/munged.pid" --log-file="$1/log/munged.log" --seed-file="$1/run/munged.seed"
    slurmctld
    slurmd -N "$(hostname -s)"
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --format %T --partition cpu 2>/dev/null)" = idle ] && return 0
        sleep 1
    done
    echo "the node did not come up:"
    tail -n 5 "$1"/log/*.log
    exit 1
}

down() { # folder
    timeout 10 scancel --user=root 2>/dev/null || true
    for _ in $(seq 20); do
        [ -z "$(timeout 10 squeue --noheader 2>/dev/null)" ] && break
        sleep 0.5
    done
    for daemon in slurmd slurmctld munged; do
        local process
        process=$(cat "$1/run/$daemon.pid" 2>/dev/null) || continue
        [ "$(cat "/proc/$process/comm" 2>/dev/null)" = $daemon ] || continue
        kill "$process"
        for _ in $(seq 50); do [ -d "/proc/$process" ] && sleep 0.2; done
    done
    if grep -qsx "$mark" $conf/slurm.conf; then rm -f $conf/slurm.conf $conf/gres.conf; fi
}

"$@"
