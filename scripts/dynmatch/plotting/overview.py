"""The main result in one figure: structure, dynamics, free energy and training of one system."""

from matplotlib.figure import Figure

from dynmatch.plotting import diagnostics, free_energy, kinetics, panels, structure, style
from dynmatch.plotting.tables import Results


def overview(results: Results) -> Figure:
    """RDF, ADF and MSD with their deviations, scattering, free energy, and the learned D0."""
    results = results.without_baselines()
    figure = style.new_figure(style.DOUBLE_COLUMN, 5.2)
    cells = figure.add_gridspec(2, 3, height_ratios=[1.25, 1])
    rdf, adf, msd = (panels.stack(figure, cells[0, column]) for column in range(3))
    scattering, energy, training = (figure.add_subplot(cells[1, column]) for column in range(3))
    structure.draw_rdf(*rdf, results)
    structure.draw_profile(*adf, results, "adf")
    kinetics.draw_msd(*msd, results)
    kinetics.write_ratios(msd[0], results)
    kinetics.draw_scattering(scattering, results)
    panels.shade_window(scattering, results.window, text_y=0.94)
    scattering.set_xlabel(kinetics.TIME_LABEL)
    free_energy.draw_contours(energy, results)
    energy.set_title(r"$F(r, \cos\theta)$, lines every $k_\mathrm{B}T$")
    diagnostics.draw_d0(training, results)
    axes = (rdf[0], adf[0], msd[0], scattering, energy, training)
    for letter, axis in zip("abcdef", axes, strict=True):
        style.letter(axis, letter)
    figure.align_ylabels([*rdf, scattering])
    figure.align_ylabels([*adf, energy])
    figure.align_ylabels([*msd, training])
    marks = [panels.floor_handle(results), *kinetics.unreliable_handles(results)]
    panels.legend_above(figure, rdf[0], *marks)
    return figure
