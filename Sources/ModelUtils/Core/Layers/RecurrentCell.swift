/// The configuration of an RNNCell, LSTMCell or GRUCell: one step of the layer of that name.
public struct RecurrentCell: Sendable, Hashable {
  /// Which of them it is.
  public var kind: Recurrent.Kind
  /// The features of its input.
  public var inputSize: Int
  /// The features of its state: `hidden_size`.
  public var hiddenSize: Int
  /// Whether it has its two biases.
  public var hasBias: Bool

  /// A cell of the given sizes.
  public init(_ kind: Recurrent.Kind, inputSize: Int, hiddenSize: Int, hasBias: Bool = true) {
    self.kind = kind
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.hasBias = hasBias
  }

  /// The names of its weights, in PyTorch's order.
  package var weightNames: [String] { ["weight_ih", "weight_hh"] + (hasBias ? ["bias_ih", "bias_hh"] : []) }
}
