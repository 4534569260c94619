import ModelCore

/// What a node of a graph computes: everything but its operands. Axes are counted from the end when negative.
///
/// The set is closed: type inference, the reference interpreter and every other reader of graphs switch over it without
/// a default.
public enum Operation: Sendable, Hashable {
  // MARK: Products

  /// Input [batch, in, spatial…], weight [out, in / groups, kernel…] ([in, out / groups, kernel…] when transposed), and
  /// perhaps a bias [out].
  case convolution(ConvolutionGeometry)
  /// Input […, in], weight [out, in] and perhaps a bias [out]: `F.linear`.
  case linear
  /// The product of two inputs over their last two axes, the others broadcast.
  case matrixProduct
  /// A product of two operands by an equation such as `bnqc,bkc->bqnk`.
  case einsum(String)
  /// Queries […, length, features], keys, values and perhaps a mask that is added to the scores (bool: that keeps them):
  /// `scaled_dot_product_attention`. The scale is 1/√features where it is nil.
  case attention(scale: Double?)
  /// One layer of an RNN, LSTM or GRU in one direction. Input [length, batch, in], state [batch, out] (an LSTM's cell
  /// [batch, hidden] behind it), weights [gates · hidden, in] and [gates · hidden, out], perhaps two biases, perhaps a
  /// projection [out, hidden]. Gives all states [length, batch, out], the last, and an LSTM's last cell.
  case recurrence(Recurrence)

  // MARK: Normalisation

  /// Input [batch, channels, …], weight, bias, mean and variance of each channel.
  ///
  /// In training it normalises by the batch's own statistics and has five results: output, new mean, new variance, and
  /// of the batch the mean and 1/√(variance + eps).
  case batchNorm(BatchNormMode, eps: Double)
  /// Over the last axes; weight and bias may follow.
  case layerNorm(axes: Int, eps: Double)
  /// By the root of the mean square of the last axes; a weight may follow. An eps of nil is the type's own.
  case rmsNorm(axes: Int, eps: Double?)
  /// Input [batch, channels, …] by groups of channels; weight and bias may follow. As many groups as channels make an
  /// instance norm.
  case groupNorm(groups: Int, eps: Double)
  /// Without an axis PyTorch chooses: the first of one or three axes, else the second.
  case softmax(axis: Int?, isLogarithm: Bool)

  // MARK: Element by element

  /// A function of each element.
  case unary(Unary)
  /// The negative elements times a slope for each channel (or one for all), the second operand.
  case prelu
  /// A function of two operands, which are broadcast.
  case binary(Binary)
  /// Gives bool.
  case compare(Comparison)
  /// The second operand where the first is true, else the third.
  case select
  /// To another type, as PyTorch's `to(dtype)`.
  case convert(DType)
  /// Zeroes elements at random and scales the others, in training. A second operand, two whole numbers, says by what
  /// draws: seed and step (`DropoutDraws`).
  case dropout(Dropout)

  // MARK: Over axes

  /// One element of those along the axes, which go or stay with length 1.
  case reduce(Reduction, axes: [Int], keepsAxes: Bool)
  /// The place of the largest element, the first of equal ones.
  case argmax(axis: Int, keepsAxis: Bool)
  /// The largest elements in falling order, all where there are fewer, and their places: two results.
  case topK(axis: Int, count: Int)

  // MARK: Over windows

  /// The largest element or the mean of each window of the last axes.
  case pool(Pool)
  /// The same with windows that make an output of a size.
  case adaptivePool(AdaptivePool)
  /// The spatial axes of [batch, channels, spatial…] in another size.
  case resize(Resize)
  /// One margin for each axis, the first axis first.
  case pad([Margin], PadMode)
  /// Pads for the windows of a convolution or pool behind it, by the size that comes.
  case samePad(SamePadding)
  /// A picture [batch, channels, height, width] between its pixels, at places [batch, rows, columns, 2] from -1 to 1
  /// (x, y), zero outside.
  case gridSample(alignsCorners: Bool)

  // MARK: Arrangement

  /// […, channels · factor², height, width] to […, channels, height · factor, width · factor], or back.
  case pixelShuffle(PixelShuffle)
  /// The operands one behind the other along an axis.
  case concatenate(axis: Int)
  /// Along a new axis.
  case stack(axis: Int)
  /// Parts of an axis, one result each.
  case split(axis: Int, Parts)
  /// From `start` to `end` (nil: to the last) in steps.
  case slice(axis: Int, start: Int, end: Int?, step: Int)
  /// The elements of an axis of the first operand at the places that the second names; the axes before `batchAxes` go
  /// along in both.
  case gather(axis: Int, batchAxes: Int)
  /// Rows [count, length], whole-numbered places [n] and as many rows [n, length], which take the place of those, or are
  /// combined with them; of several for one place the last counts, or all.
  case scatter(ScatterReduction)
  /// Extents may refer to the shapes of further operands.
  case reshape([Extent])
  /// The axes from one to another as one.
  case flatten(Flatten)
  /// The axes in another order: axis `axes[i]` becomes axis i.
  case permute([Int])
  /// Repeats axes of length 1; extents may refer to the shapes of further operands.
  case expand([Extent])
  /// 0, 1, 2, … as many as the operand's axis has elements, in the operand's type.
  case coordinates(axis: Int)
  /// The operand's shape as int64.
  case shape

  /// Of an operation's operands, made of the gradient of its result.
  case gradient(Gradient)
  /// What is not known: it is carried, printed and refused by name.
  case other(String)

  /// How many results it has.
  public var resultCount: Int {
    switch self {
    case .batchNorm(.training, _): 5
    case .gradient(let gradient): gradient.resultCount
    case .topK: 2
    case .recurrence(let recurrence): recurrence.kind == .lstm ? 3 : 2
    case .split(_, .sizes(let sizes)): sizes.count
    case .split(_, .equal(let count)): count
    case .split(_, .extents(let extents)): extents.count
    default: 1
    }
  }

  /// How a `split` divides.
  public enum Parts: Sendable, Hashable {
    /// The lengths of the parts.
    case sizes([Int])
    /// `chunk`: equal parts, the last perhaps shorter.
    case equal(Int)
    /// Lengths that follow from the shapes of further operands.
    case extents([Extent])
  }
}

/// The length of an axis.
public enum Extent: Sendable, Hashable {
  /// A length that is the same for every input.
  case fixed(Int)
  /// What remains; at most one axis may be so.
  case inferred
  /// `multiple / divisor` of an axis of an operand (0: the tensor that is reshaped).
  case of(operand: Int, axis: Int, multiple: Int = 1, divisor: Int = 1)
  /// An element of an operand whose value is known beforehand.
  case element(operand: Int, index: Int)
  /// In a reshape all axes of an operand from one on up to another (nil: the last), however many there are.
  case axes(operand: Int, from: Int, to: Int? = nil)
}

/// How a `scatter` combines rows with those that stand there, named as in ONNX.
public enum ScatterReduction: String, Sendable, Hashable {
  /// The new one alone.
  case none
  /// Their sum, product, greatest and least elements.
  case add, mul, max, min
}

/// Which statistics a batch norm goes by.
public enum BatchNormMode: Sendable, Hashable {
  /// By the running statistics.
  case inference
  /// By the batch's statistics; a momentum of nil averages all batches alike, whose number is a sixth operand.
  case training(momentum: Double?)
}

/// How a convolution slides; one entry for each spatial axis.
public struct ConvolutionGeometry: Sendable, Hashable {
  /// How far the window moves.
  public var stride: [Int]
  /// The zeros around the input; in a transposed convolution what its output lacks of the full one.
  public var padding: [Margin]
  /// How far neighbouring elements of the kernel stand apart.
  public var dilation: [Int]
  /// Into how many groups channels are divided that do not mix.
  public var groups: Int
  /// Whether it is a transposed convolution.
  public var isTransposed: Bool
  /// What a transposed convolution adds to the end of its output.
  public var outputPadding: [Int]

  /// A geometry of as many spatial axes as `stride` has entries; no output padding when nil.
  public init(
    stride: [Int], padding: [Margin], dilation: [Int], groups: Int = 1, isTransposed: Bool = false,
    outputPadding: [Int]? = nil
  ) {
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
    self.isTransposed = isTransposed
    self.outputPadding = outputPadding ?? stride.map { _ in 0 }
  }
}

/// What is added before and after the elements of an axis; negative amounts cut.
public struct Margin: Sendable, Hashable {
  /// How many elements go before the first.
  public var before: Int
  /// How many go behind the last.
  public var after: Int

  /// So many before and so many after.
  public init(_ before: Int, _ after: Int) {
    self.before = before
    self.after = after
  }

  /// As many on both sides.
  public init(_ both: Int) { self.init(both, both) }
}

/// What is put there.
public enum PadMode: Sendable, Hashable {
  /// A number.
  case constant(Double)
  /// Mirrored at the last element, which is not repeated.
  case reflect
  /// The last element, again and again.
  case replicate
  /// What stands at the other end.
  case circular
}

/// How the spatial axes of [batch, channels, spatial…] are resampled: `F.interpolate`, without antialiasing.
public struct Resize: Sendable, Hashable {
  /// The new size.
  public enum Target: Sendable, Hashable {
    /// One entry for each spatial axis.
    case size([Int])
    /// Factors; sizes are rounded down.
    case scale([Double])
    /// The spatial size of the second operand.
    case operand
  }

  /// How new pixels are made of old ones.
  public enum Mode: Sendable, Hashable {
    /// PyTorch's modes: `nearest`, `nearest-exact`, `linear` (bilinear and trilinear too), `bicubic`.
    case nearest, nearestExact, linear, cubic
  }

  /// The new size.
  public var target: Target
  /// How new pixels are made of old ones.
  public var mode: Mode
  /// Whether the corner pixels' centres, not their corners, stay in place.
  public var alignsCorners: Bool

  /// A resizing to a target.
  public init(_ target: Target, mode: Mode = .nearest, alignsCorners: Bool = false) {
    self.target = target
    self.mode = mode
    self.alignsCorners = alignsCorners
  }
}

/// What is zeroed at random in training; the rest is divided by the probability to stay.
public struct Dropout: Sendable, Hashable {
  /// What is dropped together.
  public enum Unit: Sendable, Hashable {
    /// Each element by itself.
    case element
    /// All of a channel of one entry of the batch.
    case channel
    /// All that belongs to one entry of the batch: stochastic depth by rows.
    case row
    /// The whole tensor.
    case tensor
  }

  /// How likely it is that a unit is dropped, 0 to 1.
  public var probability: Double
  /// What is dropped together.
  public var unit: Unit
  /// Which of a graph's dropouts it is: each draws for itself.
  public var stream: Int

  /// A dropout of elements unless said otherwise.
  public init(probability: Double, unit: Unit = .element, stream: Int = 0) {
    self.probability = probability
    self.unit = unit
    self.stream = stream
  }
}

/// How a layer of an RNN, LSTM or GRU runs.
public struct Recurrence: Sendable, Hashable {
  /// RNN with tanh or ReLU, LSTM or GRU.
  public var kind: Recurrent.Kind
  /// Whether it begins at the end.
  public var isReversed: Bool
  /// Whether two biases follow the weights.
  public var hasBias: Bool
  /// Whether an LSTM's states are projected to fewer features.
  public var isProjected: Bool

  /// One layer in one direction.
  public init(_ kind: Recurrent.Kind, isReversed: Bool = false, hasBias: Bool = true, isProjected: Bool = false) {
    self.kind = kind
    self.isReversed = isReversed
    self.hasBias = hasBias
    self.isProjected = isProjected
  }

  /// How many operands it takes.
  var operandCount: Int { 4 + (kind == .lstm ? 1 : 0) + (hasBias ? 2 : 0) + (isProjected ? 1 : 0) }
}
