import ModelCore

/// The one line of what `body` throws; nil where it throws nothing.
public func refusal(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch {
    return (error as? ModelError)?.description ?? "not a ModelError: \(error)"
  }
}
