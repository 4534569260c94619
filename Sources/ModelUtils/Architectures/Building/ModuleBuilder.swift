import ModelCore
import ModelRandom

/// Makes modules as Python's constructors do and notes, in construction order, how their parameters are initialised.
///
/// The modules have shapes at once and values when they are read. What is refused is remembered and thrown by `finish`,
/// so that constructors read as the originals' do.
final class ModuleBuilder {
  private(set) var failure: ModelError?
  /// What the running statistics start with. YOLOv5's constructor sends a picture of zeros through a detector in
  /// training mode.
  var freshStatistics = RunningStatistics.untouched

  private var plan = InitialValuePlan()
  private var indices: [Identity: Int] = [:]
  private let deferred = DeferredValues()

  /// Where in a description what is being built stands, for refusals.
  var place: String?

  /// Notes why the model cannot be built; the first reason counts.
  func refuse(_ reason: @autoclosure () -> String, advice: String? = nil) {
    if failure == nil { failure = ModelError(.invalid, reason(), subject: place, advice: advice) }
  }

  func refuse(_ error: any Error) {
    if failure == nil { failure = error as? ModelError ?? ModelError(.invalid, "\(error)") }
  }

  // MARK: Modules

  /// A module of a class of its own, whose forward its name says.
  func module(
    _ className: ClassName, attributes: OrderedDictionary<String, Attribute> = [:],
    _ children: OrderedDictionary<String, Module> = [:],
    parameters: OrderedDictionary<String, Parameter> = [:], layer: Layer = .opaque
  ) -> Module {
    Module(
      className, layer: layer, isTraining: true, parameters: parameters, children: children, attributes: attributes)
  }

  func sequential(_ modules: [Module]) -> Module { sequential(named: Self.numbered(modules)) }

  func sequential(named children: OrderedDictionary<String, Module>) -> Module {
    module(ClassName("torch.nn.modules.container", "Sequential"), children, layer: .sequential)
  }

  func moduleList(_ modules: [Module]) -> Module {
    module(ClassName("torch.nn.modules.container", "ModuleList"), Self.numbered(modules), layer: .container)
  }

  /// Children as a Sequential or a ModuleList names them: by their number.
  static func numbered(_ modules: [Module]) -> OrderedDictionary<String, Module> {
    OrderedDictionary(uniqueKeysWithValues: modules.enumerated().map { (String($0.offset), $0.element) })
  }

  /// `count` modules made one after the other; none more once something was refused.
  func repeated(_ count: Int, _ construct: () -> Module) -> [Module] {
    var modules: [Module] = []
    for _ in 0..<count where failure == nil { modules.append(construct()) }
    return modules
  }

  // MARK: Parameters

  /// Beyond any model: descriptions that ask for more are stopped here.
  private static let parameterLimit = 1 << 18
  private static let elementLimit = 1 << 40

  /// A trained float32 parameter and its first value.
  func parameter(_ shape: [Int], _ value: InitialValue) -> Parameter {
    if plan.shapes.count >= Self.parameterLimit { refuse("the model has more than \(Self.parameterLimit) parameters") }
    if Tensor.elementCount(shape).map({ $0 > Self.elementLimit }) ?? true {
      refuse("a parameter of shape \(shape) is too large")
    }
    let index = plan.addParameter(shape)
    plan.set(index, to: value)
    let parameter = Parameter(
      tensor(.float32, shape) { [deferred] in try deferred.copy(index, to: $0) })
    indices[parameter.identity] = index
    return parameter
  }

  /// A parameter gets another value, as constructors do that go over their model again.
  func set(_ parameter: Parameter?, to value: InitialValue) {
    guard let parameter, let index = indices[parameter.identity] else { return }
    plan.set(index, to: value)
  }

  /// A tensor whose bytes `fill` makes whenever they are read.
  func tensor(
    _ dtype: DType, _ shape: [Int], _ fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) throws -> Void
  ) -> Tensor {
    do { return try Tensor(computed: dtype, shape, by: fill) } catch {
      refuse("a tensor of shape \(shape) is too large")
      return Self.empty
    }
  }

  // Cannot throw: 0 elements are neither negative nor more than the memory holds, and fill 0 whole bytes.
  private static let empty = try! Tensor(.float32, [0])

  // MARK: The whole

  /// The model, its values computed from `seed` when the first is read.
  /// - Throws: `ModelError`, the first refusal.
  func finish(_ root: Module, seed: UInt64) throws -> Module {
    if let failure { throw failure }
    deferred.settle(plan, live: live(in: root), seed: seed)
    return root
  }

  /// The model with its values in memory.
  /// - Throws: `ModelError`, the first refusal.
  func finish(_ root: Module, using generator: inout TorchGenerator) throws -> Module {
    if let failure { throw failure }
    let values = try plan.values(of: live(in: root), using: &generator)
    deferred.settle(values)
    var root = root
    try root.updateModules { _, module in
      for index in module.parameters.values.indices {
        let identity = module.parameters.values[index].identity
        if let tensor = indices[identity].flatMap({ values[$0] }) {
          module.parameters.values[index].tensor = tensor
        }
      }
      for index in module.buffers.values.indices {
        module.buffers.values[index] = try module.buffers.values[index].materialized()
      }
    }
    return root
  }

  private func live(in root: Module) -> Set<Int> {
    var live: Set<Int> = []
    root.visitParameters { parameter in
      if let index = indices[parameter.identity] { live.insert(index) }
    }
    return live
  }
}

/// What a batch norm's buffers hold.
struct RunningStatistics {
  let variance: Float
  let batches: Int64

  /// As a batch norm is constructed.
  static let untouched = RunningStatistics(variance: 1, batches: 0)
  /// After one batch of zeros in training mode, with PyTorch's momentum of 0.1: the mean stays 0.
  static let afterZeros = RunningStatistics(variance: 0.9, batches: 1)
}
