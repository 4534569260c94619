import ModelCore
import ModelRandom
import Synchronization

/// How one parameter gets values, in float32.
enum InitialValue: Sendable {
  /// Numbers in [-bound, bound).
  case uniform(bound: Double)
  case normal(standardDeviation: Double)
  case constant(Double)
  case elements([Float])
  /// Changes the values that are there.
  case edited(@Sendable (UnsafeMutableBufferPointer<Float>) -> Void)

  /// Whether nothing of earlier values is left.
  var replacesAll: Bool {
    if case .edited = self { false } else { true }
  }
}

/// What a constructor does to its parameters, in order: draws of modules that are thrown away and values that are
/// replaced later count too, for they move the generator on.
struct InitialValuePlan: Sendable {
  struct Step: Sendable {
    let parameter: Int
    let value: InitialValue
  }

  private(set) var shapes: [[Int]] = []
  private var steps: [Step] = []

  mutating func addParameter(_ shape: [Int]) -> Int {
    shapes.append(shape)
    return shapes.count - 1
  }

  mutating func set(_ parameter: Int, to value: InitialValue) {
    steps.append(Step(parameter: parameter, value: value))
  }

  /// The values of every parameter in `live`; what no one sees is passed over in the generator, not made.
  func values(of live: Set<Int>, using generator: inout TorchGenerator) throws -> [Tensor?] {
    try Storage.checkMemory(live.reduce(0) { $0 + (Tensor.elementCount(shapes[$1]) ?? 0) }, elementSize: 4)
    var last = [Int](repeating: -1, count: shapes.count)
    for (index, step) in steps.enumerated() where step.value.replacesAll { last[step.parameter] = index }
    var tensors = [Tensor?](repeating: nil, count: shapes.count)
    for (index, step) in steps.enumerated() {
      let isSeen = live.contains(step.parameter) && index >= last[step.parameter]
      try apply(step, isSeen: isSeen, &tensors, &generator)
    }
    return tensors
  }

  private func apply(
    _ step: Step, isSeen: Bool, _ tensors: inout [Tensor?], _ generator: inout TorchGenerator
  ) throws {
    let shape = shapes[step.parameter]
    switch step.value {
    case .uniform(let bound):
      if isSeen {
        tensors[step.parameter] = try generator.uniform(shape, from: -bound, to: bound)
      } else {
        generator.skip(Tensor.elementCount(shape) ?? 0)
      }
    case .normal(let deviation):
      let tensor = try generator.normal(shape, standardDeviation: deviation)
      if isSeen { tensors[step.parameter] = tensor }
    case .constant(let value):
      guard isSeen else { return }
      tensors[step.parameter] = try Tensor(.float32, shape) { bytes in
        bytes.bindMemory(to: Float.self).update(repeating: Float(value))
      }
    case .elements(let elements):
      if isSeen { tensors[step.parameter] = try Tensor(elements, shape) }
    case .edited(let body):
      guard isSeen, var tensor = tensors[step.parameter] else { return }
      tensors[step.parameter] = nil
      try tensor.updateBytes { body($0.bindMemory(to: Float.self)) }
      tensors[step.parameter] = tensor
    }
  }
}

/// The values of a model whose parameters are made when the first is read: a model that is only counted or drawn costs
/// nothing more.
final class DeferredValues: Sendable {
  private struct State {
    var plan = InitialValuePlan()
    var live: Set<Int> = []
    var generator = TorchGenerator(seed: 0)
    var tensors: [Tensor?]?
  }

  private let state = Mutex(State())

  func settle(_ plan: InitialValuePlan, live: Set<Int>, seed: UInt64) {
    state.withLock { $0 = State(plan: plan, live: live, generator: TorchGenerator(seed: seed)) }
  }

  func settle(_ tensors: [Tensor?]) {
    state.withLock { $0 = State(tensors: tensors) }
  }

  func copy(_ parameter: Int, to bytes: UnsafeMutableRawBufferPointer) throws {
    let tensor = try state.withLock { state in
      if state.tensors == nil {
        state.tensors = try state.plan.values(of: state.live, using: &state.generator)
      }
      return state.tensors?[parameter]
    }
    guard let tensor else { throw ModelError(.invalid, "a parameter has no initial values") }
    try tensor.withContiguousBytes { bytes.copyMemory(from: $0) }
  }
}
