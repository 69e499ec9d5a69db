"""The name by which input scripts written before 0.2 call `dynmatch.export.lammps_driver`."""

from dynmatch.export.lammps_driver import run

if __name__ == "__main__":
    run()
