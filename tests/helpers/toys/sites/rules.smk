rule sites_reference:
    input:
        file=lookup(dpath="systems/{system}/reference/file", within=config),
    output:
        projected="<results>/{system}/projected.h5",
    wildcard_constraints:
        system=one_of(SYSTEMS_OF["sites"]),
    message:
        "Taking the sites of {wildcards.system} from a file"
    shell:
        "cp {input.file} {output.projected}"
