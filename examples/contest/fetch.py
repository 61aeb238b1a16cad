"""Write the data: breast cancer, Wisconsin (Street, Wolberg and Mangasarian, 1993).

Scikit-learn ships them: 569 tumours, 30 measures of each, malignant or benign.
"""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_breast_cancer


def main() -> None:
    """Write ``data/tumours.csv``."""
    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    frame = frame.rename(columns={"target": "benign"})
    frame.insert(0, "tumour", range(len(frame)))
    target = Path(__file__).parent / "data" / "tumours.csv"
    target.parent.mkdir(exist_ok=True)
    frame.to_csv(target, index=False)
    print(f"wrote {target.name}: {len(frame)} rows")


if __name__ == "__main__":
    main()
