"""`dynmatch new` and `dynmatch check`: what they find in files whose content is known."""

import os

import mdtraj
import numpy as np
import pytest
import yaml

from dynmatch.cli.main import main
from dynmatch.systems.trajectory.mappings import read_mapping
from dynmatch.workflow.config import complete
from tests.systems.test_own_trajectory import EDGE, trajectory

LENGTH = 2000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A walk of molecules of 200 ps as several programs would keep it."""
    folder = tmp_path_factory.mktemp("files")
    frames, _ = trajectory(frames=LENGTH, step=0.01)
    frames[0].save_pdb(folder / "topology.pdb")
    for suffix in ("xtc", "trr", "nc", "dcd", "xyz"):
        frames.save(str(folder / f"run.{suffix}"))
    for number in range(4):
        frames[500 * number : 500 * (number + 1)].save(str(folder / f"part-{number}.xtc"))
    frames[0].save_gro(str(folder / "conf.gro"))
    np.savez(folder / "run.npz", positions=frames.xyz, box=[EDGE] * 3, time=frames.time)
    (folder / "molecule.xml").write_text(VOTCA)
    (folder / "molecule.map").write_text("[MOH]\nA P1 H1 C ; methyl\nB P2 -0.2 O H2\n")
    (folder / "molecule.bnd").write_text("[MOH]\nA B\n")
    os.chdir(folder)
    return folder


VOTCA = """<cg_molecule><name>methanol</name><ident>MOH</ident><topology><cg_beads>
<cg_bead><name>A1</name><type>A</type><mapping>AM</mapping>
  <beads>1:MOH:H1 1:MOH:C</beads></cg_bead>
<cg_bead><name>B1</name><type>B</type><mapping>BM</mapping>
  <beads>1:MOH:O 1:MOH:H2</beads></cg_bead>
</cg_beads><cg_bonded><bond><name>b</name><beads>A1 B1</beads></bond></cg_bonded></topology>
<maps><map><name>AM</name><weights>1.008 12.011</weights></map>
<map><name>BM</name><weights>1 1</weights></map></maps></cg_molecule>"""
CASES = {
    "xtc": "topology.pdb run.xtc",
    "trr": "topology.pdb run.trr",
    "netcdf": "topology.pdb run.nc",
    "parts": "topology.pdb part-*.xtc",
    "range": "topology.pdb part-{0..3}.xtc",
    "dcd has no times": "topology.pdb run.dcd --frame-spacing 0.1",
    "xyz has no box": "topology.pdb run.xyz --frame-spacing 0.1 --edges 1.6 1.6 1.6",
    "arrays": "topology.pdb run.npz",
    "gro and pdb": "conf.gro run.xtc --more-topology topology.pdb",
    "guessed bonds": "conf.gro run.xtc --bonds guess",
    "votca": "topology.pdb run.xtc --mapping molecule.xml",
    "votca without bonds": "conf.gro run.xtc --mapping molecule.xml",
    "pycgtool": "topology.pdb run.xtc --mapping molecule.map",
}


@pytest.mark.parametrize("words", CASES.values(), ids=CASES)
def test_a_config_for_files_of_every_kind(words, folder, tmp_path, capsys, monkeypatch):
    """It passes the checks of a run, has the walk's D of 0.0005 nm^2/ps, and what `check` says of
    it is what `new` said."""
    monkeypatch.chdir(folder)
    output = tmp_path / "mine.yaml"
    assert main(["new", *words.split(), "--temperature", "300", "--output", str(output)]) == 0
    told = capsys.readouterr().out
    assert "27 MOH" in told or "27 A-B" in told or "27 P1-P2" in told
    assert "runs: 1, of 200 ps, frames 0.1 ps apart" in told
    config = complete(yaml.safe_load(output.read_text()))
    system = config["systems"]["mine"]
    assert config["models"] == ["bd", "ld"]
    assert system["potential"]["cutoff"] <= EDGE / 2
    assert main(["check", str(output)]) == 0
    again = {line.strip() for line in capsys.readouterr().out.splitlines()}
    assert set(told.partition("\n\n")[0].splitlines()) <= again


def test_diffusion_and_shells_of_a_known_walk(folder, tmp_path, capsys, monkeypatch):
    """Molecules step 0.01 nm along each axis every 0.1 ps: D = 0.0005, and diffusion at once. The
    runs hold thirty of a lag that is as long as they allow: in it, sites do not move their own
    size."""
    monkeypatch.chdir(folder)
    main(
        ["new", "topology.pdb", "run.xtc", "--temperature", "300", "--output", f"{tmp_path}/m.yaml"]
    )
    told = capsys.readouterr().out
    d = float(told.partition("D: about ")[2].split()[0])
    # 27 molecules, 10 intervals that do not overlap: 9 % standard error of the MSD
    assert d == pytest.approx(0.0005, rel=0.25)
    (lag,) = yaml.safe_load((tmp_path / "m.yaml").read_text())["systems"]["mine"]["training"][
        "lags"
    ]
    assert lag == pytest.approx(200 / 30, rel=0.05)


def test_mapping_files_of_votca_and_pycgtool(folder):
    (votca,) = read_mapping(folder / "molecule.xml")["molecules"]
    assert votca["select"] == "resname MOH"
    assert votca["sites"][0] == {
        "name": "A",
        "atoms": ["1:MOH:H1", "1:MOH:C"],
        "weights": [1.008, 12.011],
    }
    # in VOTCA, equal weights make the geometric centre
    assert votca["sites"][1]["weights"] == [1.0, 1.0]
    (pycgtool,) = read_mapping(folder / "molecule.map")["molecules"]
    assert [site["atoms"] for site in pycgtool["sites"]] == [["H1", "C"], ["O", "H2"]]
    assert votca["bonds"] == pycgtool["bonds"] == [[0, 1]]


MISTAKES = {
    "no times": ("topology.pdb run.dcd", r"run.dcd: has no times; give --frame-spacing, ps"),
    "no box": ("topology.pdb run.xyz --frame-spacing 0.1", r"run.xyz: has no box; give its edges"),
    "no file": ("topology.pdb nowhere-*.xtc", r"no file fits nowhere-\*.xtc"),
    "no topology": ("no.pdb run.xtc", r"TOPOLOGY.topology: no.pdb: cannot be read as a topology"),
    "no mapping": ("topology.pdb run.xtc --mapping conf.gro", r"conf.gro: no mapping of VOTCA"),
    "too short": ("topology.pdb short.xtc", r"runs of 1 ps are too short"),
}


@pytest.mark.parametrize(("words", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_what_is_wrong_is_told_in_a_line(words, expected, folder, tmp_path, capsys, monkeypatch):
    import re

    monkeypatch.chdir(folder)
    frames = mdtraj.load("run.xtc", top="topology.pdb")
    frames[:10].save_xtc("short.xtc")
    output = tmp_path / "mine.yaml"
    assert main(["new", *words.split(), "--temperature", "300", "--output", str(output)]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(expected, told), told
    assert not output.exists()
