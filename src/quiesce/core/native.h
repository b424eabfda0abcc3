/* What the core can only say in C. Each name has a plain-Python stand-in in native.py. */
#ifndef QUIESCE_NATIVE_H
#define QUIESCE_NATIVE_H

#include <Python.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seconds on the monotonic clock (clock_gettime(2)), which time.monotonic() reads too. */
static inline double quiesce_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* A counter that is cheap enough to read between any two callbacks. On x86 the time-stamp
   counter runs at 1 GHz or more, so that QUIESCE_TICKS_PER_100_US is never more than 100 us. */
#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
static inline long long quiesce_ticks(void) { return (long long)__rdtsc(); }
#else
static inline long long quiesce_ticks(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (long long)ts.tv_sec * 1000000000LL + ts.tv_nsec;
}
#endif
#define QUIESCE_TICKS_PER_100_US 100000LL

/* What came of the last send_in or throw_in. One variable serves the process: it is read,
   with the GIL held, before anything else can resume a coroutine. */
static enum { QUIESCE_YIELDED, QUIESCE_RETURNED, QUIESCE_RAISED } quiesce_outcome;
#define quiesce_has_yielded(came) (quiesce_outcome == QUIESCE_YIELDED)
#define quiesce_has_returned(came) (quiesce_outcome == QUIESCE_RETURNED)
#define quiesce_content(came) Py_NewRef(came)

/* The exception that is set, with its traceback, and none set any more. */
static PyObject *quiesce_take_exception(void) {
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(error, traceback);
    Py_DECREF(type);
    Py_XDECREF(traceback);
    return error;
#endif
}

static PyObject *quiesce_raised(void) {
    quiesce_outcome = QUIESCE_RAISED;
    return quiesce_take_exception();
}

/* Resume coro with None inside context. Gives what it yields, returns or raises: never NULL,
   so that the caller needs no `try`, which would save and restore Python's handled
   exception at each step. */
static PyObject *quiesce_send_in(PyObject *context, PyObject *coro) {
    PyObject *value = NULL;
    PyAsyncMethods *async;
    PySendResult sent;
    if (PyContext_Enter(context) < 0)
        return quiesce_raised();
    async = Py_TYPE(coro)->tp_as_async;
    if (async != NULL && async->am_send != NULL)
        sent = async->am_send(coro, Py_None, &value);
    else
        sent = PyIter_Send(coro, Py_None, &value);
    if (PyContext_Exit(context) < 0) {
        Py_XDECREF(value);
        return quiesce_raised();
    }
    if (sent == PYGEN_ERROR)
        return quiesce_raised();
    quiesce_outcome = sent == PYGEN_RETURN ? QUIESCE_RETURNED : QUIESCE_YIELDED;
    return value;
}

/* Raise error in coro inside context; gives what send_in gives. */
static PyObject *quiesce_throw_in(PyObject *context, PyObject *coro, PyObject *error) {
    PyObject *value, *raised, *throw = PyObject_GetAttrString(coro, "throw");
    if (throw == NULL)
        return quiesce_raised();
    if (PyContext_Enter(context) < 0) {
        Py_DECREF(throw);
        return quiesce_raised();
    }
    value = PyObject_CallOneArg(throw, error);
    Py_DECREF(throw);
    if (PyContext_Exit(context) < 0) {
        Py_XDECREF(value);
        return quiesce_raised();
    }
    if (value != NULL) {
        quiesce_outcome = QUIESCE_YIELDED;
        return value;
    }
    raised = quiesce_raised();
    if (PyObject_TypeCheck(raised, (PyTypeObject *)PyExc_StopIteration)) {
        quiesce_outcome = QUIESCE_RETURNED;
        value = Py_NewRef(((PyStopIterationObject *)raised)->value);
        Py_DECREF(raised);
        return value;
    }
    return raised;
}

static inline int quiesce_leave(PyObject *context, PyObject *value) {
    Py_XDECREF(value);
    if (PyContext_Exit(context) < 0)
        return -1;
    return value == NULL ? -1 : 0;
}

/* Call callback(*args) inside context and drop what it returns. */
static int quiesce_call_in(PyObject *context, PyObject *callback, PyObject *args) {
    PyObject *value;
    Py_ssize_t count;
    if (args == Py_None) {
        /* A cancelled handle that somebody runs by hand. */
        PyErr_SetString(PyExc_TypeError, "Value after * must be an iterable, not NoneType");
        return -1;
    }
    count = PyTuple_GET_SIZE(args);
    if (PyContext_Enter(context) < 0)
        return -1;
    if (count <= 6)
        value = PyObject_Vectorcall(callback, ((PyTupleObject *)args)->ob_item, count, NULL);
    else
        value = PyObject_Call(callback, args, NULL);
    return quiesce_leave(context, value);
}

/* Leave StopIteration(value) set. The caller's bare `raise StopIteration` returns NULL
   without touching it, so that no traceback is made for a value that only passes. */
static inline int quiesce_stop_with(PyObject *value) {
    PyTypeObject *type = (PyTypeObject *)PyExc_StopIteration;
    PyObject *args, *stop;
    if (value == Py_None || (args = PyTuple_New(1)) == NULL)
        return 0;
    PyTuple_SET_ITEM(args, 0, Py_NewRef(value));
    stop = type->tp_new(type, args, NULL);
    Py_DECREF(args);
    if (stop == NULL)
        return 0;
    /* All that StopIteration.__init__ does beyond __new__. */
    ((PyStopIterationObject *)stop)->value = Py_NewRef(value);
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(stop);
#else
    PyErr_Restore(Py_NewRef(PyExc_StopIteration), stop, NULL);
#endif
    return 0;
}

/* Call a function without arguments, or with one. The bound method of a built-in type, such
   as a deque's append, is called where it is: nothing it does needs a recursion check. */
static inline PyObject *quiesce_call_none(PyObject *function) {
    if (PyCFunction_CheckExact(function) && PyCFunction_GET_FLAGS(function) == METH_NOARGS)
        return PyCFunction_GET_FUNCTION(function)(PyCFunction_GET_SELF(function), NULL);
    return PyObject_CallNoArgs(function);
}

static inline PyObject *quiesce_call_one(PyObject *function, PyObject *argument) {
    if (PyCFunction_CheckExact(function) && PyCFunction_GET_FLAGS(function) == METH_O)
        return PyCFunction_GET_FUNCTION(function)(PyCFunction_GET_SELF(function), argument);
    return PyObject_CallOneArg(function, argument);
}

/* Let a class have the methods of its extension type as its own. CPython (3.11 to 3.15) calls
   a built-in method the short way on instances of exactly the class that defines it. */
static int quiesce_adopt_methods(PyObject *subtype, PyObject *base, PyObject *names) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *inherited = PyObject_GetAttr(base, name), *own = NULL;
        int status = -1;
        if (inherited != NULL && Py_IS_TYPE(inherited, &PyMethodDescr_Type))
            own = PyDescr_NewMethod(
                (PyTypeObject *)subtype, ((PyMethodDescrObject *)inherited)->d_method);
        if (own != NULL)
            status = PyObject_SetAttr(subtype, name, own);
        Py_XDECREF(inherited);
        Py_XDECREF(own);
        if (status < 0)
            return -1;
    }
    return 0;
}

/* What object.__hash__ gives. */
static inline Py_hash_t quiesce_identity_hash(PyObject *thing) {
    size_t address = (size_t)thing;
    return (Py_hash_t)((address >> 4) | (address << (8 * sizeof(void *) - 4)));
}

/* What list.append does. A list that was truncated has room that PyList_Append would not
   find without a call. */
static inline int quiesce_append(PyObject *items, PyObject *item) {
    PyListObject *list = (PyListObject *)items;
    Py_ssize_t size = PyList_GET_SIZE(list);
    if (size >= list->allocated)
        return PyList_Append(items, item);
    list->ob_item[size] = Py_NewRef(item);
    Py_SET_SIZE(list, size + 1);
    return 0;
}

/* The last item, which is taken out. The list keeps its room unless that is large. */
static inline PyObject *quiesce_take_last(PyObject *items) {
    PyListObject *list = (PyListObject *)items;
    Py_ssize_t size = PyList_GET_SIZE(list) - 1;
    PyObject *item = list->ob_item[size];
    if (list->allocated > 4096 && size < list->allocated / 2) {
        Py_INCREF(item);
        if (PyList_SetSlice(items, size, size + 1, NULL) < 0)
            Py_CLEAR(item);
    } else
        Py_SET_SIZE(list, size);
    return item;
}

/* Put an item at that place, uncounted: for who changes nothing but the order of a list. */
static inline int quiesce_rearrange(PyObject *items, Py_ssize_t place, PyObject *item) {
    ((PyListObject *)items)->ob_item[place] = item;
    return 0;
}

/* Empty a list whose items are all None, and keep its memory for the next use. */
static int quiesce_truncate(PyObject *items) {
    Py_ssize_t count = PyList_GET_SIZE(items);
    if (((PyListObject *)items)->allocated > 4096)
        return PyList_SetSlice(items, 0, count, NULL);
#if PY_VERSION_HEX < 0x030C0000
    Py_SET_REFCNT(Py_None, Py_REFCNT(Py_None) - count);
#endif
    Py_SET_SIZE(items, 0);
    return 0;
}

/* Let instances of one extension type carry any attribute, as asyncio's futures do, in a
   dictionary that is made when the first is set. Cython's own `cdef dict __dict__` makes one
   for every new object. The dictionary's place is a plain pointer, so the collector learns
   of it here; the type's own __dealloc__ releases it. */
static Py_ssize_t quiesce_attributes_offset;
static traverseproc quiesce_traverse_fields;
static inquiry quiesce_clear_fields;
#define QUIESCE_ATTRIBUTES(o) (*(PyObject **)((char *)(o) + quiesce_attributes_offset))

static int quiesce_traverse(PyObject *o, visitproc visit, void *arg) {
    Py_VISIT(QUIESCE_ATTRIBUTES(o));
    return quiesce_traverse_fields(o, visit, arg);
}

static int quiesce_clear(PyObject *o) {
    Py_CLEAR(QUIESCE_ATTRIBUTES(o));
    return quiesce_clear_fields(o);
}

static PyGetSetDef quiesce_dict_getset = {
    "__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL};

static inline int quiesce_lazy_attributes(PyObject *object, Py_ssize_t offset) {
    PyTypeObject *type = (PyTypeObject *)object;
    PyObject *descriptor = PyDescr_NewGetSet(type, &quiesce_dict_getset);
    int status;
    if (descriptor == NULL)
        return -1;
    status = PyDict_SetItemString(type->tp_dict, "__dict__", descriptor);
    Py_DECREF(descriptor);
    if (status < 0)
        return -1;
    quiesce_attributes_offset = offset;
    quiesce_traverse_fields = type->tp_traverse;
    quiesce_clear_fields = type->tp_clear;
    type->tp_traverse = quiesce_traverse;
    type->tp_clear = quiesce_clear;
    type->tp_dictoffset = offset;
    PyType_Modified(type);
    return 0;
}

#define QUIESCE_LAZY_ATTRIBUTES(type, owner, field) \
    quiesce_lazy_attributes(type, (char *)&(field) - (char *)(owner))

/* A subtype that was made before its base got lazy attributes has to be told of them. */
static inline int quiesce_inherit_attributes(PyObject *subtype, PyObject *base) {
    ((PyTypeObject *)subtype)->tp_dictoffset = ((PyTypeObject *)base)->tp_dictoffset;
    PyType_Modified((PyTypeObject *)subtype);
    return 0;
}

/* Let `await` drive instances of an extension type without an iterator in between: what the
   interpreter awaits is then the object itself. Python code that asks for an iterator (`iter`,
   `__await__`, `yield from`) still gets one, and so do Python subclasses, because no name is
   added to the type. The two functions: begin to wait (1), or see that there is nothing to
   wait for (0); and the result. One type in a module. */
typedef int (*quiesce_waits_t)(PyObject *);
typedef PyObject *(*quiesce_result_t)(PyObject *);
static quiesce_waits_t quiesce_waits;
static quiesce_result_t quiesce_result;

static PyObject *quiesce_advance(PyObject *object) {
    PyObject *result;
    int waits = quiesce_waits(object);
    if (waits != 0)
        return waits < 0 ? NULL : Py_NewRef(object);
    result = quiesce_result(object);
    if (result != NULL) {
        quiesce_stop_with(result);
        Py_DECREF(result);
    }
    return NULL;
}

static PyObject *quiesce_itself(PyObject *object) { return Py_NewRef(object); }

static inline int quiesce_await_itself(
    PyObject *object, quiesce_waits_t waits, quiesce_result_t result) {
    PyTypeObject *type = (PyTypeObject *)object;
    quiesce_waits = waits;
    quiesce_result = result;
    type->tp_iternext = quiesce_advance;
    type->tp_as_async->am_await = quiesce_itself;
    PyType_Modified(type);
    return 0;
}

/* Run the finalizer of an extension type's own instances only where `speaks` says that it has
   something to say: the way to it costs more than all else that ends a task. A long chain of
   such objects is let go link by link, not by recursion. One type in a module. */
typedef int (*quiesce_speaks_t)(PyObject *);
static quiesce_speaks_t quiesce_speaks;
static destructor quiesce_plain_dealloc;

static int quiesce_has_to_speak(PyObject *object) {
    int speaks;
    /* Who looks at a dead object takes and drops a reference. */
    Py_SET_REFCNT(object, 1);
    speaks = quiesce_speaks(object);
    Py_SET_REFCNT(object, 0);
    return speaks;
}

/* How many deallocations are under way, one inside the other; those of several threads, as
   far as they let each other run meanwhile, are counted together. */
static int quiesce_deallocs;
#define QUIESCE_SHALLOW 16

static void quiesce_dealloc(PyObject *object);

static void quiesce_dealloc_deep(PyObject *object) {
    PyObject_GC_UnTrack(object);
    Py_TRASHCAN_BEGIN(object, quiesce_dealloc)
    quiesce_plain_dealloc(object);
    Py_TRASHCAN_END
}

static void quiesce_dealloc(PyObject *object) {
    if (Py_TYPE(object)->tp_dealloc != quiesce_dealloc) {
        /* A subtype's own function has done the rest. */
        quiesce_plain_dealloc(object);
        return;
    }
    if (quiesce_has_to_speak(object) && !PyObject_GC_IsFinalized(object)
        && PyObject_CallFinalizerFromDealloc(object) < 0)
        return;
    /* Most are the only one to be let go, for which CPython's own count, one for each thread,
       is dear to read. */
    if (++quiesce_deallocs <= QUIESCE_SHALLOW)
        quiesce_plain_dealloc(object);
    else
        quiesce_dealloc_deep(object);
    --quiesce_deallocs;
}

static inline int quiesce_finalize_only_if(PyObject *object, quiesce_speaks_t speaks) {
    PyTypeObject *type = (PyTypeObject *)object;
    quiesce_speaks = speaks;
    quiesce_plain_dealloc = type->tp_dealloc;
    type->tp_dealloc = quiesce_dealloc;
    return 0;
}

/* Keep the memory of dead instances of one type for the next ones, as CPython does for its
   own small objects. (Cython's freelist directive is ignored in an augmenting .pxd.) Only
   exact instances are kept: Python subtypes have allocators of their own. A debugging
   allocator is to see every object, so there is no pool under PYTHONMALLOC. */
#define QUIESCE_POOL_SIZE 1024
#define QUIESCE_POOLS 4
static struct quiesce_pool {
    PyTypeObject *type;
    int count;
    PyObject *kept[QUIESCE_POOL_SIZE];
} quiesce_pools[QUIESCE_POOLS];

static inline struct quiesce_pool *quiesce_pool_of(PyTypeObject *type) {
    for (int i = 0; i < QUIESCE_POOLS; i++)
        if (quiesce_pools[i].type == type)
            return &quiesce_pools[i];
    return NULL;
}

static PyObject *quiesce_pool_alloc(PyTypeObject *type, Py_ssize_t count) {
    struct quiesce_pool *pool = quiesce_pool_of(type);
    if (pool == NULL || pool->count == 0)
        return PyType_GenericAlloc(type, count);
    PyObject *object = pool->kept[--pool->count];
    memset(object, 0, (size_t)type->tp_basicsize);
    PyObject_Init(object, type);
    PyObject_GC_Track(object);
    return object;
}

static void quiesce_pool_free(void *memory) {
    PyObject *object = (PyObject *)memory;
    struct quiesce_pool *pool = quiesce_pool_of(Py_TYPE(object));
    if (pool == NULL || pool->count == QUIESCE_POOL_SIZE) {
        PyObject_GC_Del(object);
        return;
    }
    /* The word before an untracked object holds nothing but "was finalized" (the second
       word of PyGC_Head, CPython 3.9 to 3.15): its next life has a finalizer to run, too. */
    ((uintptr_t *)object)[-1] = 0;
    pool->kept[pool->count++] = object;
}

static inline int quiesce_keep_freed(PyObject *object) {
    PyTypeObject *type = (PyTypeObject *)object;
    struct quiesce_pool *pool = quiesce_pool_of(NULL);
#if defined(Py_GIL_DISABLED) || defined(Py_TRACE_REFS) || PY_VERSION_HEX >= 0x03100000
    pool = NULL;
#endif
    if (pool == NULL || getenv("PYTHONMALLOC") != NULL)
        return 0;
    pool->type = type;
    type->tp_alloc = quiesce_pool_alloc;
    type->tp_free = quiesce_pool_free;
    return 0;
}

/* The fields of an extension type are zeroed by its allocation: nothing is left to do. */
static inline int quiesce_give_defaults(PyObject *type, PyObject *defaults) {
    (void)type;
    (void)defaults;
    return 0;
}

#endif
