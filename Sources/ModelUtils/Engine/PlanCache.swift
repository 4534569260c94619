import ModelCore
import ModelGraph
import Synchronization

/// Plans of one graph, by the types of its inputs: one is made when it is first asked for, and the one that was used
/// least lately goes when there are more than there is room for. With each plan its idle sessions are kept.
///
/// Several threads may run it at once; each takes a session of its own.
///
///     let cache = PlanCache(capacity: 4) { types in try Graph(module, inputs: types) }
///     let outputs = try cache.run([picture])
public final class PlanCache: Sendable {
  /// How many plans are kept.
  public let capacity: Int
  private let graph: @Sendable ([TensorType]) throws -> Graph
  private let choose: @Sendable (Graph) -> [Graph.Value]
  private let state = Mutex(State())

  private struct State {
    /// The graph, where it is the same for all inputs.
    var graph: Graph?
    /// The one that was used last comes last.
    var entries: [Entry] = []
  }

  private struct Entry {
    let plan: Plan
    var idle: [Idle] = []
  }

  /// A session that no thread uses.
  private struct Idle: @unchecked Sendable { let session: Session }

  /// A cache without plans.
  /// - Parameters:
  ///   - capacity: how many plans are kept, at least 1; each holds packed weights of its own.
  ///   - choose: the values that a run gives; the graph's outputs unless said otherwise.
  ///   - graph: makes the graph for inputs of given types. It is asked once, unless the graph holds for these shapes
  ///     alone.
  public init(
    capacity: Int, giving choose: @escaping @Sendable (Graph) -> [Graph.Value] = { $0.outputs },
    graph: @escaping @Sendable ([TensorType]) throws -> Graph
  ) {
    self.capacity = max(1, capacity)
    (self.choose, self.graph) = (choose, graph)
  }

  /// The plan for inputs of these types.
  /// - Throws: as `Plan`, and what making the graph throws.
  public func plan(for types: [TensorType]) throws -> Plan {
    try state.withLock { state in
      if let place = state.entries.firstIndex(where: { $0.plan.inputTypes == types }) {
        state.entries.append(state.entries.remove(at: place))
        return state.entries[state.entries.count - 1].plan
      }
      var graph = state.graph
      if graph == nil {
        graph = try self.graph(types)
        if graph?.inputShapes == nil { state.graph = graph }
      }
      guard let graph else { throw ModelError(.missing, "there is no graph") }
      if state.entries.count >= capacity { state.entries.removeFirst() }
      let plan = try Plan(graph, for: types, giving: choose(graph))
      state.entries.append(Entry(plan: plan))
      return plan
    }
  }

  /// Computes the outputs by the plan for these inputs.
  /// - Throws: as `plan(for:)` and `Session.run`.
  public func run(_ inputs: [Tensor]) throws -> [Tensor] {
    let types = inputs.map { TensorType($0.dtype, $0.shape) }
    let plan = try plan(for: types)
    let idle = state.withLock { state -> Idle? in
      guard let place = state.entries.firstIndex(where: { $0.plan.inputTypes == types }) else { return nil }
      return state.entries[place].idle.popLast()
    }
    let running = try idle ?? Idle(session: Session(plan))
    let outputs = try running.session.run(inputs)
    state.withLock { state in
      guard let place = state.entries.firstIndex(where: { $0.plan.inputTypes == types }) else { return }
      state.entries[place].idle.append(running)
    }
    return outputs
  }
}
