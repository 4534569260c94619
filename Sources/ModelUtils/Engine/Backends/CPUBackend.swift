import ModelCore
import ModelGraph

/// Runs graphs on the processor: convolutions and products by oneDNN, everything else by kernels of our own.
public struct CPUBackend: Backend {
  private let foldsBatchNorms: Bool

  /// The processor, as plans use it unless told otherwise.
  /// - Parameter foldsBatchNorms: whether batch norms go into the weights before them; without that a fused model is
  ///   compared with one that is not.
  public init(foldsBatchNorms: Bool = true) { self.foldsBatchNorms = foldsBatchNorms }

  public func compile(
    _ graph: Graph, for inputs: [TensorType], giving outputs: [Graph.Value], precision: Precision
  ) throws -> any Executable {
    try compile(graph, for: inputs, giving: outputs, precision: precision, training: nil) as CPUExecutable
  }

  func compile(
    _ graph: Graph, for inputs: [TensorType], giving outputs: [Graph.Value], precision: Precision,
    training: TrainingRequest?
  ) throws -> CPUExecutable {
    try precision.requireSupport()
    OneDNN.useThreads()
    var compiler = try Compiler(
      graph, inputs, outputs, precision, foldsBatchNorms: foldsBatchNorms, training: training)
    let program = try compiler.compile()
    let outputTypes = outputs.map { compiler.types[$0] }
    return CPUExecutable(program: program, inputTypes: inputs, outputTypes: outputTypes)
  }
}

/// A program for the processor.
struct CPUExecutable: Executable {
  let program: Program
  let inputTypes: [TensorType]
  let outputTypes: [TensorType]
  /// As many as it was compiled for: oneDNN divides work when a primitive is made.
  let threads = Parallel.threadCount

  var steps: [Plan.StepDescription] {
    program.steps.map {
      .init(path: $0.path, operation: $0.name, implementation: $0.implementation, nodes: $0.nodes)
    }
  }

  var arenaBytes: Int { program.arenaBytes + program.scratchBytes }
  var constantBytes: Int { program.constants.reduce(0) { $0 + $1.byteCount } }

  func execution() throws -> any Execution { try CPUExecution(self) }
}

/// A program's steps bound to an arena.
final class CPUExecution: Execution {
  private let executable: CPUExecutable
  private let arena: Arena
  private let variables: Variables?
  private let memory: Memory
  private var works: [Step.Work] = []
  private let gradients: GradientExchange?

  /// - Parameters:
  ///   - variables: what a training plan was made for.
  ///   - ranks: whom its gradients are added up with.
  init(_ executable: CPUExecutable, _ variables: Variables? = nil, _ ranks: RankExchange? = nil) throws {
    self.executable = executable
    self.variables = variables
    let program = executable.program
    let arena = try Arena(byteCount: executable.arenaBytes)
    self.arena = arena
    memory = Memory(
      bases: program.buffers.map { buffer in
        switch buffer.place {
        case .arena(let offset): arena.pointer + offset
        case .constant(let index): program.constants[index].pointer
        case .variable(let offset): (variables?.values.pointer ?? arena.pointer) + offset
        case .gradient(let offset): (variables?.gradients.pointer ?? arena.pointer) + offset
        }
      }, scratch: arena.pointer + program.arenaBytes, norms: ranks.flatMap { $0.synchronizesBatchNorms ? $0 : nil })
    gradients = try ranks.flatMap { ranks in try variables.map { try GradientExchange(program, $0, ranks) } }
    works = try program.steps.map { try $0.bind(memory) }
  }

  func run(_ inputs: [Tensor]) throws -> [Tensor] { try run(inputs, at: 0, steps: works.indices) }

  /// Some of the steps, after some of the inputs were put to their places.
  func run(_ inputs: [Tensor], at first: Int, steps: Range<Int>) throws -> [Tensor] {
    try Parallel.$threadCount.withValue(executable.threads) {
      OneDNN.useThreads()
      try put(inputs, at: first)
      for index in steps {
        try works[index]()
        try gradients?.didRun(step: index)
      }
      if steps.upperBound == works.count { try gradients?.finish() }
      return try outputs()
    }
  }

  func timed(_ inputs: [Tensor]) throws -> [Double] {
    try Parallel.$threadCount.withValue(executable.threads) {
      OneDNN.useThreads()
      try put(inputs, at: 0)
      let clock = ContinuousClock()
      return try works.map { work in
        let duration = try clock.measure { try work() }
        return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
      }
    }
  }

  private func outputs() throws -> [Tensor] {
    try zip(executable.program.outputs, executable.outputTypes).map { placed, type in
      try Tensor(type.dtype, type.shape) { bytes in
        guard let base = bytes.baseAddress else { return }
        Copy(placed.with(withoutOffset(placed.layout)), to: .rowMajor(type.shape)).run(memory.pointer(placed), base)
      }
    }
  }

  private func put(_ inputs: [Tensor], at first: Int) throws {
    let places = zip(executable.inputTypes, executable.program.inputs).dropFirst(first)
    for ((type, placed), input) in zip(places, inputs) {
      let source = Placed(buffer: 0, layout: .rowMajor(type.shape), dtype: type.dtype)
      try input.withContiguousBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        Copy(source, to: withoutOffset(placed.layout)).run(
          UnsafeMutableRawPointer(mutating: base), memory.pointer(placed))
      }
    }
  }

  private func withoutOffset(_ layout: Layout) -> Layout {
    Layout(shape: layout.shape, strides: layout.strides)
  }
}
