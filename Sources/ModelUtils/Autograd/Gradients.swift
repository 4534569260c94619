import ModelCore
import ModelGraph

/// A forward with the backward pass behind it, in one graph.
public struct TrainingGraph: Sendable {
  /// Everything. Its inputs are the model's, then `seed` where something is dropped at random, then `outputGradients`;
  /// its outputs are the model's, then the inputs' gradients that were asked for, then the parameters'.
  public let graph: Graph
  /// The gradient of each parameter that has one, by its path, of the parameter's type.
  public let gradients: OrderedDictionary<String, Graph.Value>
  /// The gradients of the model's inputs, where they were asked for; nil for one that nothing depends on.
  public let inputGradients: [Graph.Value?]
  /// Where the loss is computed outside, the inputs that take the gradients of the outputs, one for each.
  public let outputGradients: [Graph.Value]
  /// What draws go by, where something is dropped at random: int64 [2], a seed and the number of the step.
  public let seed: Graph.Value?
  /// How many nodes the forward has; those behind may wait for `outputGradients`.
  public let forwardNodeCount: Int
  let mapping: [Graph.Value]

  /// Where a value of the graph that was differentiated stands in this one.
  public subscript(value: Graph.Value) -> Graph.Value { mapping[value.index] }
}

extension Graph {
  /// The graph with the gradients of a loss behind it: torch's `loss.backward()`, made beforehand.
  ///
  /// Every gradient is an ordinary value, computed by ordinary nodes in the scopes of what they are gradients of. Those
  /// of a value that is used several times are added from its last use to its first.
  /// - Parameters:
  ///   - loss: a value of a floating type with one element.
  ///   - parameters: the paths of the weights to differentiate by; those that require a gradient when nil.
  ///   - inputs: the types of the graph's inputs: what is broadcast is summed, so sizes count.
  ///   - ofInputs: whether the inputs' gradients are wanted too.
  /// - Throws: `ModelError` naming the module for an operation that has no gradient, a loss of several elements, and a
  ///   parameter that there is not.
  public func gradients(
    of loss: Value, with parameters: [String]? = nil, for inputs: [TensorType], ofInputs: Bool = false
  ) throws -> TrainingGraph {
    var backward = try Differentiation(self, inputs, parameters, ofInputs: ofInputs, isCut: false)
    let loss = try backward.loss(loss)
    backward.scope = backward.graph.producer(of: loss).map { backward.graph.nodes[$0].scope } ?? 0
    return try backward.run(from: [(loss, try backward.filled(1, like: loss))])
  }

  /// The graph with the gradients of its outputs behind it, where the loss is computed outside: they come as further
  /// inputs, of the outputs' types, once the outputs are known.
  /// - Throws: as `gradients(of:)`.
  public func gradientsOfOutputs(
    with parameters: [String]? = nil, for inputs: [TensorType], ofInputs: Bool = false
  ) throws -> TrainingGraph {
    var backward = try Differentiation(self, inputs, parameters, ofInputs: ofInputs, isCut: true)
    return try backward.run(from: backward.cuts)
  }
}
