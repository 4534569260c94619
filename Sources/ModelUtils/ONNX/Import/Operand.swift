import ModelCore
import ModelGraph

/// A tensor while a model is traced: a value of the graph that grows, or known elements that are not yet in it.
struct Operand {
  enum Source {
    case value(Graph.Value)
    /// A weight has a name.
    case constant(Tensor, name: String?)
  }

  let type: TensorType
  let source: Source

  init(_ type: TensorType, _ value: Graph.Value) { (self.type, source) = (type, .value(value)) }

  init(_ tensor: Tensor, name: String? = nil) {
    type = TensorType(tensor.dtype, tensor.shape)
    source = .constant(tensor, name: name)
  }

  /// - Throws: `ModelError` for a shape beyond any tensor's.
  func checked() throws -> Operand {
    _ = try Operation.unary(.abs).resultTypes(of: [type])
    return self
  }

  var shape: [Int] { type.shape }
  var rank: Int { type.shape.count }
  var dtype: DType { type.dtype }
  var count: Int { type.shape.reduce(1, *) }

  /// The weight's name, where it is one.
  var name: String? { if case .constant(_, let name) = source { name } else { nil } }

  /// Its elements, where they are known.
  var tensor: Tensor? { if case .constant(let tensor, _) = source { tensor } else { nil } }
}

/// What a name of a graph stands for.
enum Binding {
  case operand(Operand)
  /// Nothing is known of it, or only what the file says: by the name of the node that is the cause.
  case unsized(cause: String)
}

/// Why a node could not be sized: no error, for the rest of the model goes on.
struct Unsizable: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}
