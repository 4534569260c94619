/// The configuration of an RNN, LSTM or GRU.
public struct Recurrent: Sendable, Hashable {
  /// Named as PyTorch's attribute `mode`.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// RNN with tanh.
    case rnnTanh = "RNN_TANH"
    /// RNN with ReLU.
    case rnnReLU = "RNN_RELU"
    /// LSTM.
    case lstm = "LSTM"
    /// GRU.
    case gru = "GRU"

    /// How many rows of its weights belong to one element of the state.
    public var gates: Int {
      switch self {
      case .rnnTanh, .rnnReLU: 1
      case .gru: 3
      case .lstm: 4
      }
    }
  }

  /// Which of them it is.
  public var kind: Kind
  /// The features of its input.
  public var inputSize: Int
  /// The features of its state: `hidden_size`.
  public var hiddenSize: Int
  /// Layers on top of each other: `num_layers`.
  public var layers: Int
  /// Whether each layer has its two biases.
  public var hasBias: Bool
  /// Whether tensors are [batch, length, features] instead of [length, batch, features].
  public var isBatchFirst: Bool
  /// What is dropped between the layers in training.
  public var dropout: Double
  /// Whether each layer also runs from the end, which doubles the features that it gives.
  public var isBidirectional: Bool
  /// The features to which an LSTM's states are projected; 0 for no projection.
  public var projectionSize: Int

  /// PyTorch's defaults, unless said otherwise.
  public init(
    _ kind: Kind, inputSize: Int, hiddenSize: Int, layers: Int = 1, hasBias: Bool = true, isBatchFirst: Bool = false,
    dropout: Double = 0, isBidirectional: Bool = false, projectionSize: Int = 0
  ) {
    self.kind = kind
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.layers = layers
    self.hasBias = hasBias
    self.isBatchFirst = isBatchFirst
    self.dropout = dropout
    self.isBidirectional = isBidirectional
    self.projectionSize = projectionSize
  }

  /// The ends of its weights' names, one for each layer and direction: `_l0`, `_l0_reverse`, `_l1`, …
  package var suffixes: [String] {
    (0..<min(max(layers, 0), Self.layerLimit)).flatMap {
      isBidirectional ? ["_l\($0)", "_l\($0)_reverse"] : ["_l\($0)"]
    }
  }

  /// The names of the weights of one layer and direction, in PyTorch's order.
  package func weightNames(_ suffix: String) -> [String] {
    (["weight_ih", "weight_hh"] + (hasBias ? ["bias_ih", "bias_hh"] : []) + (projectionSize > 0 ? ["weight_hr"] : []))
      .map { $0 + suffix }
  }

  /// Beyond any network.
  package static let layerLimit = 1 << 10
}
