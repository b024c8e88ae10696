"""What a recipe may say: every key, its type, its default and one sentence about it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

#: A hyperparameter of a network: what TOML can say and a constructor can take.
Hyperparameter = bool | int | float | str | list[int] | list[float] | list[str]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _split_names(names: object) -> object:
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else names


#: Text that a file may break over lines.
Prose = Annotated[str, AfterValidator(_one_line)]
#: A list of names; on a command line they are joined by commas.
Names = Annotated[list[str], BeforeValidator(_split_names)]


class Section(BaseModel):
    """Base of all sections: unknown keys and silently converted types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelSection(Section):
    """Which network is trained."""

    name: str = Field(description="name of the network, as `regulome models` lists it")
    hyperparameters: dict[str, Hyperparameter] = Field(
        default_factory=dict, description="hyperparameters that differ from the network's defaults"
    )


#: Keys of the section ``input`` that belong to one line of work.
INPUT_KEYS = {
    "expression": ("transform", "scale", "orient", "marks", "window", "bin", "resolutions", "pcres"),
    "sequence": ("reverse_complement", "shift", "both_strands"),
    "language": ("length", "carry_state"),
}


class InputSection(Section):
    """What happens to the inputs before the network sees them; each line of work has keys of its own."""

    transform: Literal["none", "log1p", "arcsinh"] = Field(
        default="log1p", description="marks: transformation of every value: none, log1p or arcsinh"
    )
    scale: Literal["none", "standard", "max"] = Field(
        default="standard",
        description="marks: none; standard: each mark gets mean 0 and deviation 1 over the training part; max: each "
        "mark is divided by its largest value there",
    )
    orient: bool = Field(
        default=True, description="marks: turn the bins of genes on the minus strand, so that all run 5' to 3'"
    )
    marks: Names = Field(default=[], description="marks: names of those that the network sees, in order; empty = all")
    window: int = Field(
        default=0, ge=0, description="marks: base pairs around the start site that the network sees; 0 = as prepared"
    )
    bin: int = Field(
        default=0,
        ge=0,
        description="marks: base pairs per bin, a multiple of the dataset's; reads of its bins are added up, signal is "
        "averaged; 0 = as prepared",
    )
    resolutions: list[int] = Field(
        default=[], description="distal regions: widths of bins that the network sees, in order; empty = as prepared"
    )
    pcres: int = Field(
        default=-1, ge=-1, description="distal regions: pCREs of a gene that the network sees at most; -1 = as prepared"
    )
    reverse_complement: Literal["none", "random", "both"] = Field(
        default="none",
        description="sequences, in training: none; random: either strand of each window, drawn anew in each epoch; "
        "both: both strands of every window in each epoch",
    )
    shift: int = Field(
        default=0, ge=0, description="sequences, in training: move each window by up to so many bases, either way"
    )
    both_strands: bool = Field(
        default=False, description="sequences: predictions are the mean of the probabilities of both strands"
    )
    length: int = Field(
        default=0,
        ge=0,
        description="texts, in training: letters of a window, over which errors are propagated back; 0 = as prepared",
    )
    carry_state: bool = Field(
        default=True,
        description="texts, in training: a window goes on with the state that the one before it left; otherwise each "
        "begins knowing nothing, and the windows are shuffled",
    )


class TrainingSection(Section):
    """How the network is fitted, and which of its states is kept."""

    method: Literal["gradient", "scikit-learn", "full-batch", "counting"] = Field(
        default="gradient",
        description="gradient: steps of an optimiser; scikit-learn: the solver of a baseline on marks; full-batch: the "
        "solver of a baseline on k-mers; counting: one pass over a text, of a baseline that counts its words",
    )
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = Field(default="adamw", description="optimiser")
    learning_rate: float = Field(default=1e-3, gt=0, description="learning rate; with one-cycle, its peak")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="momentum of sgd and rmsprop")
    betas: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        default=[0.9, 0.999], description="decay rates of the moments of adam and adamw"
    )
    rmsprop_decay: float = Field(
        default=0.99, ge=0, lt=1, description="decay rate of the mean of squared gradients of rmsprop"
    )
    epsilon: float = Field(default=1e-8, gt=0, description="added to the divisor of adam, adamw and rmsprop")
    weight_decay: float = Field(default=0.0, ge=0, description="weight decay (L2; decoupled in adamw)")
    max_norm: float = Field(
        default=0.0, ge=0, description="largest norm of the weights into one unit, set after each step; 0 = no limit"
    )
    max_norm_layers: Literal["last-hidden", "all"] = Field(
        default="last-hidden", description="layers that max_norm holds: the last hidden one, or all"
    )
    l1: float = Field(
        default=0.0,
        ge=0,
        description="added to the loss: this times the sum of the absolute activations of the last hidden layer, mean "
        "over examples",
    )
    schedule: Literal["constant", "inverse", "step", "exponential", "plateau", "cosine", "one-cycle"] = Field(
        default="one-cycle",
        description="plan of the learning rate: constant; inverse: rate / (1 + samples seen × schedule_factor); "
        "step: × schedule_factor every schedule_epochs; exponential: × schedule_factor each epoch; plateau: × "
        "schedule_factor when more than schedule_epochs have gone by without a lower validation loss; cosine: down to "
        "0 over all epochs; one-cycle: up over the first 30 % of all steps, then down to nearly 0",
    )
    schedule_factor: float = Field(default=0.5, gt=0, description="factor of the plan; see schedule")
    schedule_epochs: int = Field(default=10, ge=1, description="epochs of the plan; see schedule")
    schedule_minimum: float = Field(default=0.0, ge=0, description="plateau: the rate does not fall below this")
    batch_size: int = Field(default=128, ge=1, description="examples per step and device")
    epochs: int = Field(default=20, ge=1, description="passes over the training part, at most")
    letters: int = Field(
        default=0,
        ge=0,
        description="texts: letters to read in training, over all epochs; a long text gets so many epochs as come "
        "nearest, at least one; 0 = no limit",
    )
    gradient_clip: float = Field(default=0.0, ge=0, description="largest norm of the gradient; 0 = no limit")
    gradient_clamp: float = Field(
        default=0.0, ge=0, description="largest absolute value of each element of the gradient; 0 = no limit"
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of each label that is spread evenly over both classes"
    )
    positive_weight: float | Literal["balanced"] = Field(
        default=1.0,
        description="weight of positive examples in the loss; balanced: negatives / positives, for each target",
    )
    positive_weight_limit: float = Field(default=100.0, ge=1, description="largest weight that balanced gives")
    early_stopping: int = Field(
        default=0, ge=0, description="stop after this many epochs without a better epoch; 0 = run them all"
    )
    select: Literal["valid_auroc", "valid_auprc", "valid_loss", "last"] = Field(
        default="valid_auroc",
        description="which epoch is kept: highest validation AUROC or average precision, mean over the targets "
        "(regression: highest Pearson correlation), lowest validation loss (of texts the only one), or the last",
    )
    precision: Literal["32", "bf16-mixed", "16-mixed"] = Field(
        default="32", description="number format: 32, bf16-mixed or 16-mixed"
    )
    forget_bias: float = Field(
        default=0.0,
        description="added to the forget gates' bias of every LSTM before training, so that it remembers early",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of weights, order and dropout")
    checkpoint_minutes: float = Field(
        default=5.0, ge=0, description="in a long epoch, save a point to resume from every so many minutes"
    )


class BaselineSection(Section):
    """What the baselines choose from; networks leave it alone."""

    costs: Annotated[list[float], Field(min_length=1)] = Field(
        default=[1e-4, 1e-3, 1e-2],
        description="inverse strengths C of the L2 penalty to try on the validation part (ridge: alpha = 1 / (2 C)), "
        "unless model.hyperparameters has C",
    )
    leaves: Annotated[list[int], Field(min_length=1)] = Field(
        default=[3, 10],
        description="smallest leaves of the random forest, in training examples, to try on the validation part, "
        "unless model.hyperparameters has min_samples_leaf",
    )
    orders: Annotated[list[int], Field(min_length=1)] = Field(
        default=list(range(13)),
        description="letters that the Markov model looks back, to try on the validation part, unless "
        "model.hyperparameters has order; those with far more contexts than the text has letters are left out",
    )


class Recipe(Section):
    """Everything that, with a dataset and a split, determines a run."""

    name: str = Field(description="name of the recipe")
    system: str = Field(description="the published system that it follows")
    line: Literal["expression", "sequence", "conservation", "language"] = Field(
        default="expression", description="line of work: which datasets it takes"
    )
    description: Prose = Field(default="", description="what it is for, and what it reached where it was measured")
    paper: Prose = Field(default="", description="the publication")
    differences: Prose = Field(default="", description="where it departs from the publication, and why")
    model: ModelSection = Field(description="the network")
    input: InputSection = Field(default_factory=InputSection, description="preparation of the inputs")
    training: TrainingSection = Field(default_factory=TrainingSection, description="fitting")
    baseline: BaselineSection = Field(default_factory=BaselineSection, description="baselines")

    @model_validator(mode="after")
    def _no_key_of_another_line(self) -> Recipe:
        for line, keys in INPUT_KEYS.items():
            for key in keys if line != self.line else ():
                if getattr(self.input, key) != InputSection.model_fields[key].default:
                    raise ValueError(f"input.{key} belongs to the line {line!r}: the recipe is of {self.line!r}")
        if self.training.letters and self.line != "language":
            raise ValueError(f"training.letters belongs to the line 'language': the recipe is of {self.line!r}")
        return self
