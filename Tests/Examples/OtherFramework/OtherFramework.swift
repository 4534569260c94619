/// Names that other frameworks have too, as MLX and SwiftUI do.
public struct Identity { public init() {} }
public struct Layer { public init() {} }
public struct Graph { public init() {} }
public struct Model { public init() {} }
open class Module { public init() {} }
