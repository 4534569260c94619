import ModelCore
import ModelGraph

/// Runs a plan in memory of its own. Use one on one thread at a time.
///
///     let plan = try Plan(Graph(module), for: [TensorType(.float32, [1, 3, 640, 640])])
///     let session = try Session(plan)
///     let outputs = try session.run([picture])
public final class Session {
  /// What it runs.
  public let plan: Plan
  private let arena: Arena
  private let memory: Memory
  private var works: [Step.Work] = []

  /// Memory for a plan.
  /// - Throws: `ModelError` when it is more than the machine has.
  public init(_ plan: Plan) throws {
    self.plan = plan
    let program = plan.program
    let arena = try Arena(byteCount: program.arenaBytes + program.scratchBytes)
    self.arena = arena
    memory = Memory(
      bases: program.buffers.map { buffer in
        switch buffer.place {
        case .arena(let offset): arena.pointer + offset
        case .constant(let index): program.constants[index].pointer
        }
      }, scratch: arena.pointer + program.arenaBytes)
    works = try program.steps.map { try $0.bind(memory) }
  }

  /// Computes the outputs.
  /// - Parameter inputs: of the types that the plan was made for.
  /// - Throws: `ModelError` for inputs of another type or that cannot be read.
  public func run(_ inputs: [Tensor]) throws -> [Tensor] {
    try put(inputs)
    OneDNN.useThreads()
    for work in works { try work() }
    return try zip(plan.program.outputs, plan.outputTypes).map { placed, type in
      try Tensor(type.dtype, type.shape) { bytes in
        guard let base = bytes.baseAddress else { return }
        Copy(placed.with(withoutOffset(placed.layout)), to: .rowMajor(type.shape)).run(memory.pointer(placed), base)
      }
    }
  }

  /// The same, with how long each of the plan's steps took, in seconds.
  public func timed(_ inputs: [Tensor]) throws -> [Double] {
    try put(inputs)
    OneDNN.useThreads()
    let clock = ContinuousClock()
    return try works.map { work in
      let duration = try clock.measure { try work() }
      return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }
  }

  private func withoutOffset(_ layout: Layout) -> Layout {
    Layout(shape: layout.shape, strides: layout.strides)
  }

  private func put(_ inputs: [Tensor]) throws {
    guard inputs.count == plan.inputTypes.count else {
      throw ModelError(.mismatch, "takes \(plan.inputTypes.count) tensors, not \(inputs.count)")
    }
    for (index, input) in inputs.enumerated() {
      let (type, placed) = (plan.inputTypes[index], plan.program.inputs[index])
      guard input.dtype == type.dtype, input.shape == type.shape else {
        throw ModelError(
          .mismatch,
          "is \(input.dtype.rawValue) \(input.shape), the plan is made for \(type.dtype.rawValue) \(type.shape)",
          subject: plan.inputNames[index])
      }
      let source = Placed(buffer: 0, layout: .rowMajor(type.shape), dtype: type.dtype)
      try input.withContiguousBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        Copy(source, to: withoutOffset(placed.layout)).run(
          UnsafeMutableRawPointer(mutating: base), memory.pointer(placed))
      }
    }
  }
}
