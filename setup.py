"""What setup.cfg cannot say: configs/ travels inside the package as handzoo/_configs."""

from setuptools import find_namespace_packages, setup

CODE = find_namespace_packages(
    include=["handzoo", "handzoo.*", "handzoo_plugins", "handzoo_plugins.*"],
    exclude=["handzoo.assets", "handzoo.assets.*", "*.__pycache__"],
)

setup(
    packages=[*CODE, "handzoo._configs"],
    package_dir={"handzoo._configs": "configs"},
    package_data={
        "handzoo": ["assets/**/*"],
        "handzoo._configs": ["**/*"],
        "": [
            *("*.toml", "*.yml", "*.json", "*.md", "*.html", "*.js", "*.css", "*.tmpl", "*.py"),
            "*.safetensors",
        ],
    },
    exclude_package_data={"": ["*.pyc", "__pycache__/*"]},
)
