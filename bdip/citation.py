"""What to cite, in one place: the works that a run rests on, as BibTeX."""

from bdip._version import __version__

SOFTWARE = "bdip"
ALWAYS = (SOFTWARE, "ulyanov2018deep", "cheng2019bayesian")
OF_SAMPLERS = {
    "Mclmc": ("robnik2023microcanonical",),
    "Psgld": ("welling2011bayesian", "li2016preconditioned"),
    "Sgld": ("welling2011bayesian",),
}

WORKS = {
    SOFTWARE: f"""@software{{bdip,
  title   = {{{{bdip}}: {{Bayesian}} deep image priors}},
  version = {{{__version__}}},
  license = {{Apache-2.0}}
}}""",
    "ulyanov2018deep": """@inproceedings{ulyanov2018deep,
  author    = {Ulyanov, Dmitry and Vedaldi, Andrea and Lempitsky, Victor},
  title     = {Deep Image Prior},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2018}
}""",
    "cheng2019bayesian": """@inproceedings{cheng2019bayesian,
  author    = {Cheng, Zezhou and Gadelha, Matheus and Maji, Subhransu and Sheldon, Daniel},
  title     = {A {Bayesian} Perspective on the Deep Image Prior},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2019}
}""",
    "robnik2023microcanonical": """@article{robnik2023microcanonical,
  author  = {Robnik, Jakob and De Luca, G. Bruno and Silverstein, Eva and Seljak, Uro{\\v{s}}},
  title   = {Microcanonical {Hamiltonian} {Monte} {Carlo}},
  journal = {Journal of Machine Learning Research},
  year    = {2023}
}""",
    "welling2011bayesian": """@inproceedings{welling2011bayesian,
  author    = {Welling, Max and Teh, Yee Whye},
  title     = {{Bayesian} Learning via Stochastic Gradient {Langevin} Dynamics},
  booktitle = {International Conference on Machine Learning (ICML)},
  year      = {2011}
}""",
    "li2016preconditioned": """@inproceedings{li2016preconditioned,
  author    = {Li, Chunyuan and Chen, Changyou and Carlson, David and Carin, Lawrence},
  title     = {Preconditioned Stochastic Gradient {Langevin} Dynamics for Deep Neural Networks},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2016}
}""",
}


def bibtex(sampler: str = "Mclmc") -> str:
    """BibTeX of bdip and of the works behind a sampler of this class name.

    Example:
        >>> print(bibtex("Adam").splitlines()[0])
        @software{bdip,
    """
    return "\n\n".join(WORKS[name] for name in (*ALWAYS, *OF_SAMPLERS.get(sampler, ())))
